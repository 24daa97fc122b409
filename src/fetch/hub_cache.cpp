#include "fetch/hub_cache.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"
#include "fetch/http.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNameBytes = 96;  // as on the public hub
constexpr size_t kMaxWordBytes = 128;
constexpr size_t kMaxPathBytes = 512;
constexpr uint64_t kMaxRefBytes = 256;

bool is_word(const std::string& text, size_t limit) {
  return !text.empty() && text.size() <= limit && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.');
         });
}

// Whether every part between slashes may be a folder or a file below another one.
bool stays_below(const std::string& path) {
  if (path.empty() || path.size() > kMaxPathBytes) return false;
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == '\\' || c == 0x7f) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

std::string folder_name_of(const std::string& model) {
  std::string name = "models--" + model;
  const size_t slash = name.find('/');
  return name.substr(0, slash) + "--" + name.substr(slash + 1);
}

}  // namespace

bool is_hub_name(const std::string& text) {
  const std::string name = text.substr(0, text.find('@'));
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return false;
  for (const char* ending : {".safetensors", ".json", ".bin", ".pth", ".pt", ".tar", ".npz"})
    if (name.ends_with(ending)) return false;  // a file that is missing
  return is_word(name.substr(0, slash), kMaxNameBytes) &&
         is_word(name.substr(slash + 1), kMaxNameBytes) && name.find("--") == std::string::npos &&
         name.find("..") == std::string::npos;
}

HubModel parse_hub_name(const std::string& text) {
  check(is_hub_name(text), "hub", "'{}' is no model of a hub: those are OWNER/NAME",
        printable(text));
  const size_t at = text.find('@');
  HubModel model{.name = text.substr(0, at)};
  if (at != std::string::npos) model.revision = text.substr(at + 1);
  check(stays_below(model.revision), "hub", "'{}' is no revision: a branch, a tag or a commit is",
        printable(model.revision));
  return model;
}

void check_repository_path(const std::string& path, const std::string& model) {
  check(stays_below(path), "hub", "{} names a file '{}', which would leave its folder", model,
        printable(path));
}

bool is_plain_word(const std::string& text) {
  return is_word(text, kMaxWordBytes);
}

HubCache::HubCache(const fs::path& cache, const HubModel& model)
    : cache_(cache),
      folder_(cache / folder_name_of(model.name)),
      folder_name_(folder_name_of(model.name)) {}

fs::path HubCache::lock(const std::string& etag) const {
  return cache_ / ".locks" / folder_name_ / (etag + ".lock");
}

std::optional<std::string> HubCache::commit_of(const std::string& revision) const {
  std::error_code ignored;
  if (is_plain_word(revision) && fs::is_directory(snapshot(revision), ignored)) return revision;
  const fs::path ref = folder_ / "refs" / revision;
  if (!fs::is_regular_file(ref, ignored)) return std::nullopt;
  std::string commit = read_text_file(ref, kMaxRefBytes);
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back())) != 0)
    commit.pop_back();
  if (!is_plain_word(commit) || !fs::is_directory(snapshot(commit), ignored)) return std::nullopt;
  return commit;
}

std::vector<std::string> HubCache::files_of(const std::string& commit) const {
  std::vector<std::string> names;
  std::error_code error;
  const fs::path folder = snapshot(commit);
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code missing;
    if (entry->is_regular_file(missing))  // a link counts as what it leads to
      names.push_back(entry->path().lexically_relative(folder).generic_string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool HubCache::is_known_absent(const std::string& commit, const std::string& file) const {
  std::error_code ignored;
  return fs::exists(folder_ / ".no_exist" / commit / file, ignored);
}

void HubCache::make_folders() {
  for (const char* name : {"blobs", "refs", "snapshots"}) vitrail::make_folders(folder_ / name);
  vitrail::make_folders(cache_ / ".locks" / folder_name_);
}

void HubCache::link(const std::string& commit, const std::string& file, const std::string& etag) {
  const fs::path target = snapshot(commit) / file;
  vitrail::make_folders(target.parent_path());
  const fs::path content = blob(etag).lexically_relative(target.parent_path());
  std::error_code error;
  if (fs::is_symlink(target, error) && fs::read_symlink(target, error) == content) return;
  // Made beside it and renamed: another process sees the old file or the new one.
  const fs::path made = target.string() + fmt::format(".{}.tmp", ::getpid());
  fs::create_symlink(content, made, error);
  if (error) fs::copy_file(blob(etag), made, fs::copy_options::overwrite_existing, error);
  if (!error) fs::rename(made, target, error);
  if (error) {
    std::error_code ignored;
    fs::remove(made, ignored);
    fail("file", "{}: cannot be created: {}", target.string(), error.message());
  }
}

void HubCache::remember_absent(const std::string& commit, const std::string& file) {
  const fs::path path = folder_ / ".no_exist" / commit / file;
  vitrail::make_folders(path.parent_path());
  write_file_atomically(path, std::string_view());
}

void HubCache::remember_commit(const std::string& revision, const std::string& commit) {
  if (revision == commit) return;
  const fs::path path = folder_ / "refs" / revision;
  vitrail::make_folders(path.parent_path());
  write_file_atomically(path, commit);
}

}  // namespace vitrail
