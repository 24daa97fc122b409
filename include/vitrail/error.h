// The one exception that Vitrail throws for what a user can cause.
#pragma once

#include <vitrail/export.h>

#include <stdexcept>
#include <string>

namespace vitrail {

// what() reads "[place] what was wrong and what would be right", on one line.
class VITRAIL_API Error : public std::runtime_error {
 public:
  Error(const std::string& place, const std::string& message)
      : std::runtime_error("[" + place + "] " + message), place_(place) {}
  const std::string& place() const { return place_; }

 private:
  std::string place_;
};

}  // namespace vitrail
