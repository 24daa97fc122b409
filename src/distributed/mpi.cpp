#include "distributed/mpi.h"

#include <dlfcn.h>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <vector>

#include "core/error.h"
#include "distributed/mpi_module.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

// Beside the program or the library, or where an installation puts it.
std::vector<fs::path> module_paths() {
  std::vector<fs::path> paths;
  Dl_info info{};
  const bool known = dladdr(reinterpret_cast<const void*>(&module_paths), &info) != 0;
  // A program that was found along PATH knows itself by its bare name alone.
  for (const fs::path& self : {fs::path(known ? info.dli_fname : ""), fs::path("/proc/self/exe")}) {
    std::error_code missing;
    const fs::path folder = fs::canonical(self, missing).parent_path();
    if (missing) continue;
    paths.push_back(folder / VITRAIL_MPI_MODULE);
    paths.push_back(folder / "vitrail" / VITRAIL_MPI_MODULE);
    paths.push_back(folder.parent_path() / VITRAIL_MODULE_FOLDER / VITRAIL_MPI_MODULE);
  }
  return paths;
}

const vitrail_mpi& load_module() {
  std::string reason;
  for (const fs::path& path : module_paths()) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    // MPI's own plugins look for its symbols among the global ones.
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
      reason = ::dlerror();
      continue;
    }
    if (const void* found = ::dlsym(handle, "vitrail_mpi_functions"))
      return *static_cast<const vitrail_mpi*>(found);
    reason = "it is another one";
  }
  check(!reason.empty(), "distributed",
        "mpirun started this, but it was built without MPI: run tools/setup --mpi, then build (and "
        "install) again");
  fail("distributed",
       "mpirun started this, but {} cannot be loaded: {}; run tools/setup --mpi, then build (and "
       "install) again",
       VITRAIL_MPI_MODULE, reason);
}

class MpiTransfer : public Transfer {
 public:
  MpiTransfer(const vitrail_mpi& mpi, void* handle) : mpi_(mpi), handle_(handle) {
    check(handle != nullptr, "distributed", "MPI cannot send or receive");
  }
  bool done() override {
    if (handle_ == nullptr) return true;
    const int answer = mpi_.done(handle_);
    check(answer >= 0, "distributed", "MPI could not deliver a message");
    if (answer == 1) handle_ = nullptr;
    return handle_ == nullptr;
  }

 private:
  const vitrail_mpi& mpi_;
  void* handle_;
};

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator() : mpi_(load_module()) {
    const int status = mpi_.start(&rank_, &ranks_);
    check(status == 0, "distributed", "MPI does not start ({})", status);
  }
  ~MpiCommunicator() override {
    // MPI_Finalize waits for the others, who wait for what this process will not send any more.
    if (std::uncaught_exceptions() > exceptions_) mpi_.end_job(1);
    mpi_.stop();
  }
  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  std::unique_ptr<Transfer> send(std::span<const std::byte> bytes, int to, int tag) override {
    check_size(bytes.size());
    return std::make_unique<MpiTransfer>(mpi_, mpi_.send(bytes.data(), bytes.size(), to, tag));
  }
  std::unique_ptr<Transfer> receive(std::span<std::byte> bytes, int from, int tag) override {
    check_size(bytes.size());
    return std::make_unique<MpiTransfer>(mpi_, mpi_.receive(bytes.data(), bytes.size(), from, tag));
  }
  void end_job(int status) override {
    mpi_.end_job(status);
    std::_Exit(status);
  }

 private:
  void check_size(size_t bytes) const {
    check(bytes <= mpi_.max_bytes, "distributed",
          "a message of {} bytes is above MPI's limit of {}", bytes, mpi_.max_bytes);
  }
  const vitrail_mpi& mpi_;
  int rank_ = 0, ranks_ = 1;
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace

std::unique_ptr<Communicator> join_mpi_job() {
  return std::make_unique<MpiCommunicator>();
}

}  // namespace vitrail
