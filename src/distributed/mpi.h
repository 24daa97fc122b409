// The communicator over MPI, which is loaded for it. MPI_Init may be called once in a process.
#pragma once

#include <memory>

#include "distributed/communicator.h"

namespace vitrail {

// Error: this build has no MPI, its module is missing, or MPI refuses.
std::unique_ptr<Communicator> join_mpi_job();

}  // namespace vitrail
