// The machine that a figure was measured on, in words.
#pragma once

#include <cstdint>
#include <string>

namespace vitrail {

// "AMD EPYC 9B14": as the system names it; the architecture where it does not.
std::string cpu_name();
// The network name of this machine; "localhost" where it has none.
std::string host_name();
// "2026-11-24T19:50:06Z".
std::string utc_time();

// Bytes of memory that this process may use: what the machine has, or what its control group
// (a container's limit) leaves of it.
uint64_t machine_memory();

}  // namespace vitrail
