// What opening a data set took, what it left out, and why: nothing is passed over in silence.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail {

// Why something is left out, as words for one of its kind and for several.
struct Reason {
  std::string_view one, many;
  bool operator==(const Reason&) const = default;
};

namespace reasons {
inline constexpr Reason kNoPicture{"file that is no picture", "files that are no pictures"};
inline constexpr Reason kUnreadFormat{"picture in a format that is not read",
                                      "pictures in formats that are not read"};
inline constexpr Reason kEmptyPicture{"empty picture file", "empty picture files"};
inline constexpr Reason kHidden{"hidden file or folder", "hidden files or folders"};
inline constexpr Reason kForeign{"folder that another program keeps",
                                 "folders that other programs keep"};
inline constexpr Reason kBrokenLink{"link that leads nowhere", "links that lead nowhere"};
inline constexpr Reason kLoop{"link to a folder that it lies in",
                              "links to folders that they lie in"};
inline constexpr Reason kNoFile{"name that is no regular file", "names that are no regular files"};
inline constexpr Reason kNoPictures{"folder without pictures", "folders without pictures"};
inline constexpr Reason kStray{"picture outside of the class folders",
                               "pictures outside of the class folders"};
inline constexpr Reason kUnlabelled{"picture of a split without class folders",
                                    "pictures of splits without class folders"};
inline constexpr Reason kBeside{"picture in a folder beside the splits",
                                "pictures in folders beside the splits"};
inline constexpr Reason kFolder{"folder", "folders"};
inline constexpr Reason kMissing{"listed picture that is not on the disk",
                                 "listed pictures that are not on the disk"};
inline constexpr Reason kTwice{"picture listed twice", "pictures listed twice"};
inline constexpr Reason kUnannotated{"picture without annotations", "pictures without annotations"};
inline constexpr Reason kOrphan{"annotation of a picture that is not listed",
                                "annotations of pictures that are not listed"};
inline constexpr Reason kSecond{"further picture of a sample", "further pictures of samples"};
inline constexpr Reason kLabelAlone{"label without a picture", "labels without pictures"};
}  // namespace reasons

class Intake {
 public:
  struct LeftOut {
    Reason reason;
    int64_t count = 0;
    std::vector<std::string> examples;  // the first few, printable
  };
  struct Taken {
    std::string part;  // train, val, test, all
    int64_t pictures = 0;
  };

  // `example` is a stranger's name, shown if it is among the first. Reasons are literals.
  void leave_out(const Reason& reason, std::string_view example, int64_t count = 1);
  // A word of our own about what was taken, such as a class that training never sees.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  void take(std::string part, int64_t pictures) { taken_.push_back({std::move(part), pictures}); }
  void set_classes(int64_t classes) { classes_ = classes; }
  void add(const Intake& other);  // what it left out, and its notes

  // Nothing was left out, and there is nothing to note.
  bool complete() const { return left_out_.empty() && notes_.empty(); }
  const std::vector<LeftOut>& left_out() const { return left_out_; }
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<Taken>& taken() const { return taken_; }

  // "2 empty picture files (a.jpg, b.jpg), 1 folder without pictures (c)"; empty when complete.
  std::string left_out_text() const;
  // The whole of it on one line, with what was taken in front.
  std::string line(const std::string& set) const;

 private:
  std::vector<LeftOut> left_out_;
  std::vector<std::string> notes_;
  std::vector<Taken> taken_;
  int64_t classes_ = 0;
};

// "a, b, c, ... (7 in all)": names of strangers in a message.
std::string named(const std::vector<std::string>& names, size_t shown = 3);
// "1 picture", "2 pictures".
std::string counted(int64_t count, std::string_view one, std::string_view many);

// Who hears of every set that is opened and not complete; it may throw to refuse the set. Without
// one the line is logged as a warning, once for each set in the life of the program. Thread-safe.
using IntakeListener = std::function<void(const std::string& line)>;
void set_intake_listener(IntakeListener listener);
void announce(const Intake& intake, const std::string& set);

}  // namespace vitrail
