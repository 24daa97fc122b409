// NetworkConfig: the configuration of a network of any type, as a value. What is common to all
// types is asked and set here; as_vit() and its like give the fields of one type.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "models/class_answer.h"

namespace vitrail {

class Network;

// What a network takes: [B, channels, height, width] f32, normalised. Other sizes are taken, too,
// where the network's layout() does not refuse them.
struct PictureInput {
  int64_t channels = 3, height = 224, width = 224;
  bool operator==(const PictureInput&) const = default;
};

// What every type's configuration can do: a struct with these functions is one, and
// models/network_types.cpp has a row for it.
template <typename Config>
concept NetworkSettings = requires(Config config, const Config& fixed, const std::string& text,
                                   int64_t size, double rate, nlohmann::json& json) {
  { Config::kType } -> std::convertible_to<std::string_view>;
  { fixed.architecture } -> std::convertible_to<std::string>;
  { fixed.pictures() } -> std::same_as<PictureInput>;
  { fixed.class_answer() } -> std::same_as<ClassAnswer>;
  { fixed.num_blocks() } -> std::same_as<int64_t>;
  fixed.validate();
  config.set_pictures(PictureInput());
  config.set_image_size(size, size);
  config.set_class_answer(ClassAnswer());
  config.set_drop_path(rate);
  config.fit_positions();
  set_field(config, text, text);
  write_fields(fixed, json);
  { make_network(fixed) } -> std::same_as<std::shared_ptr<Network>>;
};

class NetworkConfig {
 public:
  template <typename Config>
  requires requires { Config::kType; }
  NetworkConfig(Config config)  // implicit: a configuration of a type is one of any
      : held_(std::make_unique<Holder<Config>>(std::move(config))) {}
  NetworkConfig(const NetworkConfig& other) : held_(other.held_->clone()) {}
  NetworkConfig(NetworkConfig&&) noexcept = default;
  NetworkConfig& operator=(NetworkConfig other) noexcept {
    held_ = std::move(other.held_);
    return *this;
  }

  std::string_view type() const { return held_->type(); }
  const std::string& architecture() const { return held_->architecture(); }
  PictureInput pictures() const { return held_->pictures(); }
  ClassAnswer class_answer() const { return held_->class_answer(); }
  int64_t num_blocks() const { return held_->num_blocks(); }

  // As if it had been made for these pictures; validate() says whether they fit.
  void set_pictures(const PictureInput& input) { held_->set_pictures(input); }
  // Takes pictures of another size from here on; what was learned for one size is stretched by the
  // rule of the model's family. Error: a size that the network does not take.
  void set_image_size(int64_t height, int64_t width) { held_->set_image_size(height, width); }
  void set_class_answer(const ClassAnswer& answer) { held_->set_class_answer(answer); }
  void set_drop_path(double rate) { held_->set_drop_path(rate); }  // of the last block
  // Learned positions are of the picture's own grid from here on.
  void fit_positions() { held_->fit_positions(); }
  // One field by name, from text ("num_heads=4"): what --set does. Error: unknown name, bad value.
  void set(const std::string& name, const std::string& value) { held_->set(name, value); }

  // Error naming the field that is out of range or contradicts another.
  void validate() const { held_->validate(); }
  // Parameters without values yet. Error: as of validate().
  std::shared_ptr<Network> make() const;

  // Null: it is of another type.
  template <typename Config>
  Config* get_if() {
    auto* holder = dynamic_cast<Holder<Config>*>(held_.get());
    return holder == nullptr ? nullptr : &holder->config;
  }
  template <typename Config>
  const Config* get_if() const {
    return const_cast<NetworkConfig*>(this)->get_if<Config>();
  }

  friend bool operator==(const NetworkConfig& a, const NetworkConfig& b) {
    return a.held_->equals(*b.held_);
  }
  friend void write_fields(const NetworkConfig& config, nlohmann::json& out) {
    config.held_->write(out);
  }

 private:
  struct Held {
    virtual ~Held() = default;
    virtual std::unique_ptr<Held> clone() const = 0;
    virtual bool equals(const Held& other) const = 0;
    virtual std::string_view type() const = 0;
    virtual const std::string& architecture() const = 0;
    virtual PictureInput pictures() const = 0;
    virtual ClassAnswer class_answer() const = 0;
    virtual int64_t num_blocks() const = 0;
    virtual void set_pictures(const PictureInput& input) = 0;
    virtual void set_image_size(int64_t height, int64_t width) = 0;
    virtual void set_class_answer(const ClassAnswer& answer) = 0;
    virtual void set_drop_path(double rate) = 0;
    virtual void fit_positions() = 0;
    virtual void set(const std::string& name, const std::string& value) = 0;
    virtual void write(nlohmann::json& out) const = 0;
    virtual void validate() const = 0;
    virtual std::shared_ptr<Network> make() const = 0;
  };

  template <typename Config>
  struct Holder final : Held {
    static_assert(NetworkSettings<Config>);
    explicit Holder(Config value) : config(std::move(value)) {}
    std::unique_ptr<Held> clone() const override { return std::make_unique<Holder>(config); }
    bool equals(const Held& other) const override {
      const auto* same = dynamic_cast<const Holder*>(&other);
      return same != nullptr && same->config == config;
    }
    std::string_view type() const override { return Config::kType; }
    const std::string& architecture() const override { return config.architecture; }
    PictureInput pictures() const override { return config.pictures(); }
    ClassAnswer class_answer() const override { return config.class_answer(); }
    int64_t num_blocks() const override { return config.num_blocks(); }
    void set_pictures(const PictureInput& input) override { config.set_pictures(input); }
    void set_image_size(int64_t height, int64_t width) override {
      config.set_image_size(height, width);
    }
    void set_class_answer(const ClassAnswer& answer) override { config.set_class_answer(answer); }
    void set_drop_path(double rate) override { config.set_drop_path(rate); }
    void fit_positions() override { config.fit_positions(); }
    void set(const std::string& name, const std::string& value) override {
      set_field(config, name, value);
    }
    void write(nlohmann::json& out) const override { write_fields(config, out); }
    void validate() const override { config.validate(); }
    std::shared_ptr<Network> make() const override { return make_network(config); }

    Config config;
  };

  std::unique_ptr<Held> held_;
};

// Every field by its name; of a type other than the plain Vision Transformer also "network", its
// type. from_json: missing fields keep the default, unknown fields, types and wrong values are an
// Error; the result is validated.
nlohmann::json to_json(const NetworkConfig& config);
NetworkConfig network_config_from_json(const nlohmann::json& json);

}  // namespace vitrail
