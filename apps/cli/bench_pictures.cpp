// vitrail bench --pictures: from files to what a model reads.
#include <fmt/format.h>

#include <atomic>
#include <chrono>

#include "apps/cli/bench.h"
#include "apps/cli/standard_streams.h"

namespace vitrail::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Nanoseconds that the threads spent, all together.
struct Spent {
  std::atomic<int64_t> decode{0}, prepare{0}, resize{0};
};

int64_t nanoseconds_since(Clock::time_point start) {
  return std::chrono::nanoseconds(Clock::now() - start).count();
}

// Decodes and preprocesses the files, once each.
class Pictures {
 public:
  Pictures(std::vector<std::string> files, const Preprocess& preprocess, int threads)
      : files_(std::move(files)), preprocess_(preprocess), queue_(threads) {
    outputs_.resize(static_cast<size_t>(queue_.pool().num_threads()));
  }

  int threads() { return queue_.pool().num_threads(); }
  double count() const { return static_cast<double>(files_.size()); }

  void run(Spent& spent) {
    each([&](const std::string& file, std::vector<float>& output) {
      const auto start = Clock::now();
      const Image image = load_picture(file, preprocess_.decode_options());
      spent.decode += nanoseconds_since(start);
      const PreprocessResult size = preprocess_geometry(image.width, image.height, preprocess_);
      output.resize(static_cast<size_t>(preprocess_.channels) * size.height * size.width);
      const auto decoded = Clock::now();
      apply(image, preprocess_, output.data());
      spent.prepare += nanoseconds_since(decoded);
    });
  }

  // Resizing and cropping, which run() does not see apart from the rest.
  void resize_alone(Spent& spent) {
    each([&](const std::string& file, std::vector<float>&) {
      const Image image = load_picture(file, preprocess_.decode_options());
      const auto start = Clock::now();
      apply_geometry(image, preprocess_);
      spent.resize += nanoseconds_since(start);
    });
  }

 private:
  template <class Visit>
  void each(const Visit& visit) {
    queue_.pool().parallel_for(static_cast<int64_t>(files_.size()), [&](int64_t i, int worker) {
      visit(files_[static_cast<size_t>(i)], outputs_[static_cast<size_t>(worker)]);
    });
  }

  std::vector<std::string> files_;
  Preprocess preprocess_;
  Queue queue_;
  std::vector<std::vector<float>> outputs_;
};

}  // namespace

void bench_pictures(const BenchArguments& arguments) {
  const auto model = open_model_or_architecture(arguments.model, load_options(arguments.model));
  Pictures pictures(expand_pictures(arguments.pictures), model->preprocess, arguments.run.threads);
  Spent spent;
  int64_t passes = 0;
  const Times times = measure(arguments.runs, [&] {
    pictures.run(spent);
    ++passes;
  });
  pictures.resize_alone(spent);

  const auto milliseconds = [&](int64_t nanoseconds, int64_t times_each) {
    return static_cast<double>(nanoseconds) * 1e-6 /
           (pictures.count() * static_cast<double>(times_each));
  };
  const double decode = milliseconds(spent.decode, passes);
  const double prepare = milliseconds(spent.prepare, passes);
  // Two passes measured them: their difference may come out below nothing.
  const double resize = std::min(milliseconds(spent.resize, 1), prepare);
  const double each = times.median() * 1e3 / pictures.count();
  if (arguments.run.json) {
    nlohmann::ordered_json json;
    json["model"] = model->name;
    json["pictures"] = static_cast<int64_t>(pictures.count());
    json["threads"] = pictures.threads();
    times.write_to(json);
    json["pictures_per_second"] = pictures.count() / times.median();
    json["milliseconds_a_picture"] = each;
    json["thread_milliseconds"] = {{"decode", decode},
                                   {"resize", resize},
                                   {"rest", prepare - resize},
                                   {"all", decode + prepare}};
    return print_json(json);
  }
  print_stdout("{} pictures as {} reads them, {}\n", pictures.count(), model->name,
               threads_text(pictures.threads()));
  print_stdout("  all     {}\n", times.text());
  print_stdout("  each    {:.3f} ms, {:.1f} pictures/s\n", each, pictures.count() / times.median());
  print_stdout(
      "  a thread spends {:.3f} ms on a picture: {:.3f} decoding, {:.3f} resizing and "
      "cropping, {:.3f} on the rest\n",
      decode + prepare, decode, resize, prepare - resize);
}

}  // namespace vitrail::cli
