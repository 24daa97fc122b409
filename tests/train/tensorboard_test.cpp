// Event files: the same bytes as TensorBoard's own classes write, and what a resumed run leaves in
// them, read by a decoder that shares nothing with the encoder.
#include "train/run/tensorboard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "image/codec/codec.h"
#include "train/run/run_log.h"
#include "train/run_helpers.h"

namespace vitrail::testing {
namespace {

namespace fs = std::filesystem;

// Bit by bit, as the polynomial says.
uint32_t slow_crc32c(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int i = 0; i < 8; ++i) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

uint32_t masked(uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

template <typename T>
T read_number(const std::string& bytes, size_t at) {
  T value;
  EXPECT_LE(at + sizeof(T), bytes.size());
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

std::vector<std::string> records_of(const std::string& file) {
  std::vector<std::string> records;
  for (size_t at = 0; at < file.size();) {
    const auto length = read_number<uint64_t>(file, at);
    EXPECT_EQ(read_number<uint32_t>(file, at + 8), masked(slow_crc32c(file.substr(at, 8))));
    const std::string payload = file.substr(at + 12, length);
    EXPECT_EQ(payload.size(), length);
    EXPECT_EQ(read_number<uint32_t>(file, at + 12 + length), masked(slow_crc32c(payload)));
    records.push_back(payload);
    at += length + 16;
  }
  return records;
}

// Field number: its raw contents, in order.
std::multimap<int, std::string> fields_of(const std::string& message) {
  std::multimap<int, std::string> fields;
  size_t at = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(message.at(at++));
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.size()) {
    const uint64_t key = varint();
    const int field = static_cast<int>(key >> 3);
    size_t length = 8;
    if ((key & 7) == 0) {
      fields.emplace(field, std::to_string(varint()));
      continue;
    }
    if ((key & 7) == 5) length = 4;
    if ((key & 7) == 2) length = varint();
    fields.emplace(field, message.substr(at, length));
    at += length;
  }
  return fields;
}

struct Point {
  int64_t step = 0;
  double value = 0;
  bool operator==(const Point&) const = default;
};
using Curves = std::map<std::string, std::vector<Point>>;

// What a reader shows of a folder: files in the order of their names; the start of a process drops
// what is at its step or beyond.
Curves read_folder(const fs::path& folder) {
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("events.out.tfevents."))
      files.insert(entry.path());
  Curves curves;
  for (const fs::path& file : files) {
    const std::vector<std::string> records = records_of(bytes_of(file));
    EXPECT_EQ(fields_of(records.at(0)).find(3)->second, "brain.Event:2");
    for (const std::string& record : records) {
      const auto event = fields_of(record);
      const auto step_field = event.find(2);
      const int64_t step = step_field == event.end() ? 0 : std::stoll(step_field->second);
      if (event.contains(7))
        for (auto& [tag, points] : curves)
          std::erase_if(points, [&](const Point& point) { return point.step >= step; });
      if (!event.contains(5)) continue;
      const auto summary = fields_of(event.find(5)->second);
      for (const auto& [number, text] : summary) {
        const auto value = fields_of(text);
        if (!value.contains(2)) continue;  // a picture
        curves[value.find(1)->second].push_back(
            {step, read_number<float>(value.find(2)->second, 0)});
      }
    }
  }
  return curves;
}

TEST(TensorBoard, WritesTheBytesOfItsOwnClasses) {
  const std::string golden =
      bytes_of(fs::path(VITRAIL_SOURCE_DIR) / "tests/golden/train/tensorboard_events.tfrecord");
  ASSERT_FALSE(golden.empty());
  const std::vector<NamedScalar> first{{"train/loss", 2.25}, {"train/zero", 0}};
  const std::vector<NamedScalar> second{{"val/accuracy", NAN}};
  EXPECT_EQ(tfrecord(encode_version_event(1700000000.25)) +
                tfrecord(encode_start_event({1700000000.5, 300})) +
                tfrecord(encode_scalars_event({1700000001.0, 1}, first)) +
                tfrecord(encode_scalars_event({1700000002.0, 70000}, second)),
            golden);
}

TEST(TensorBoard, HoldsPictures) {
  Image picture(3, 2, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<uint8_t>(i);
  const auto event = fields_of(encode_image_event({1.0, 5}, "samples", picture));
  const auto value = fields_of(fields_of(event.find(5)->second).find(1)->second);
  EXPECT_EQ(value.find(1)->second, "samples");
  const auto image = fields_of(value.find(4)->second);
  EXPECT_EQ(image.find(1)->second, "2");
  EXPECT_EQ(image.find(2)->second, "3");
  EXPECT_EQ(image.find(3)->second, "3");
  const std::string& png = image.find(4)->second;
  EXPECT_EQ(decode_picture(std::as_bytes(std::span(png))).pixels, picture.pixels);
}

TEST(RunLog, ScalarsOfLines) {
  const auto line = nlohmann::json::parse(
      R"({"kind":"epoch","step":9,"epoch":2,"seconds":3.5,"loss":1.5,"method":"mae",)"
      R"("val":{"loss":null,"accuracy":0.5,"pictures":10}})");
  std::map<std::string, double> scalars;
  for (const NamedScalar& scalar : scalars_of(line)) scalars[scalar.tag] = scalar.value;
  ASSERT_EQ(scalars.size(), 3u);
  EXPECT_EQ(scalars.at("epoch/loss"), 1.5);
  EXPECT_EQ(scalars.at("val/accuracy"), 0.5);
  EXPECT_TRUE(std::isnan(scalars.at("val/loss")));
}

nlohmann::json step_line(int64_t step) {
  return {{"kind", "step"}, {"step", step}, {"loss", 10.0 / static_cast<double>(step)}};
}

TEST(RunLog, AResumedRunDropsWhatItWritesAgain) {
  const fs::path folder = fresh_folder("run");
  fs::create_directories(folder);
  const nlohmann::json epoch{{"kind", "epoch"}, {"step", 6}, {"epoch", 0}, {"loss", 3.0}};
  {
    RunLog log(folder);
    log.begin({});
    for (const int64_t step : {2, 4, 6}) log.append(step_line(step));
    log.append(epoch);
    log.append(step_line(8));
  }
  // Resumed in the second of the first file, at the checkpoint of step 6: before its epoch ended.
  RunLog log(folder);
  log.begin({.step = 6, .epochs = 0});
  log.append(epoch);
  log.append(step_line(8));
  log.append(step_line(10));

  const Curves curves = read_folder(folder);
  const auto loss = [](int64_t step) {
    return Point{step, static_cast<float>(10.0 / static_cast<double>(step))};
  };
  EXPECT_EQ(curves.at("train/loss"),
            (std::vector<Point>{loss(2), loss(4), loss(6), loss(8), loss(10)}));
  EXPECT_EQ(curves.at("epoch/loss"), (std::vector<Point>{{6, 3.0}}));
}

// Every number of metrics.jsonl, and nothing else, in a run that was stopped and resumed.
TEST(RunLog, ARunsCurvesAreThoseOfItsMetrics) {
  TrainConfig config = tiny_config();
  const fs::path folder = fresh_folder("run");
  RunOptions options = quiet_options(folder);
  options.checkpoint_steps = 4;
  int steps = 0;
  options.stop = [&] { return ++steps == 17; };
  ASSERT_TRUE(train(config, options).interrupted);
  options = quiet_options(folder);
  options.resume = true;
  train(config, options);

  Curves expected;
  std::ifstream in(folder / "metrics.jsonl");
  for (std::string text; std::getline(in, text);) {
    const auto line = nlohmann::json::parse(text);
    for (const NamedScalar& scalar : scalars_of(line))
      expected[scalar.tag].push_back(
          {line.at("step").get<int64_t>(), static_cast<float>(scalar.value)});
  }
  ASSERT_GE(expected.at("train/loss").size(), 7u);
  EXPECT_TRUE(expected.contains("train/pictures_per_second"));
  EXPECT_TRUE(expected.contains("val/accuracy"));
  EXPECT_EQ(read_folder(folder), expected);

  int processes = 0;
  std::ifstream machine(folder / "machine.jsonl");
  for (std::string text; std::getline(machine, text); ++processes) {
    const auto line = nlohmann::json::parse(text);
    EXPECT_EQ(line.at("step"), processes == 0 ? 0 : 17);
    EXPECT_FALSE(line.at("cpu").get<std::string>().empty());
    EXPECT_EQ(line.at("threads"), 1);
  }
  EXPECT_EQ(processes, 2);
}

}  // namespace
}  // namespace vitrail::testing
