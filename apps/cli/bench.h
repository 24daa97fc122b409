// What the parts of `vitrail bench` share: its arguments, and how a thing is measured.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/cli/common.h"

namespace vitrail::cli {

struct BenchArguments {
  ModelArguments model;
  RunArguments run;
  int runs = 0;  // 0: three seconds of them
  bool probe = false;
  bool profile = false;
  bool peak = false;
  bool train = false;
  std::string data;  // a set's spec: training on its pictures
  int workers = 0;
  bool activation_checkpointing = false;  // of train
  std::string input, output;              // .npy
  std::vector<std::string> pictures;
};

void bench_model(const BenchArguments& arguments);
void bench_peak(const BenchArguments& arguments);
void bench_train(const BenchArguments& arguments);
void bench_loading(const BenchArguments& arguments);
void bench_pictures(const BenchArguments& arguments);
// Where the time of a pass goes: tables on stdout, or "profile" of `json` when there is one.
void bench_profile(Session& session, const Tensor& images, int runs, nlohmann::ordered_json* json);

// The times of many runs, in seconds.
class Times {
 public:
  explicit Times(std::vector<double> seconds);
  size_t runs() const { return sorted_.size(); }
  double best() const { return sorted_.front(); }
  double median() const { return sorted_[sorted_.size() / 2]; }
  // The time within which a share of the runs, 0.9 or 0.99, ended.
  double within(double share) const;
  // runs, milliseconds (the median), milliseconds_best, _p50, _p90, _p99
  void write_to(nlohmann::ordered_json& json) const;
  std::string text() const;  // one line for people

 private:
  std::vector<double> sorted_;
};

// Runs `once` a few times to warm up, then `runs` times, or for three seconds when runs is 0.
Times measure(int runs, const std::function<void()>& once);

// What is measured.
struct Subject {
  std::string model;
  int64_t batch = 0, height = 0, width = 0;
  int threads = 0;
  Precision precision = Precision::f32;
};
void write_to(nlohmann::ordered_json& json, const Subject& subject);
std::string text(const Subject& subject);

// How fast it is beside the machine, for operations of which a multiply-add counts as two.
struct Speed {
  double pictures_per_second = 0;
  double gflops = 0, peak_gflops = 0;
};
struct Measured {
  Times times;
  Speed speed;
};
// `once` measured between two measurements of the peak, of which the higher one counts.
Measured measure_beside_peak(Queue& queue, const Subject& subject, int64_t multiply_adds_a_picture,
                             int runs, const std::function<void()>& once);
void write_to(nlohmann::ordered_json& json, const Speed& speed);
std::string text(const Speed& speed);

struct MemoryUse {
  int64_t peak_resident = 0;  // of the process, files it maps included; 0 where unknown
  int64_t pool_peak = 0;      // of tensors at one time
  int64_t pool_reserved = 0;  // of tensors, with what is kept for the next pass
};
MemoryUse memory_use();
void write_to(nlohmann::ordered_json& json, const MemoryUse& memory);
std::string text(const MemoryUse& memory);  // one line for people

// Of the pictures that the model takes, which --size changes.
PictureSize bench_size(const Network& network);
Tensor random_pictures(int64_t batch, int64_t channels, PictureSize size);
// [B, C, H, W]: --input's, or --batch random ones.
Tensor input_pictures(const BenchArguments& arguments, const Network& network);
// "1 thread", "2 threads"
std::string threads_text(int threads);

}  // namespace vitrail::cli
