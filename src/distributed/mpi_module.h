/* What the module says of MPI, in C: no more of it than the communicator needs. A status other than
 * 0 is MPI's error. */
#ifndef VITRAIL_DISTRIBUTED_MPI_MODULE_H_
#define VITRAIL_DISTRIBUTED_MPI_MODULE_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vitrail_mpi {
  int (*start)(int* rank, int* ranks);
  int (*stop)(void);
  void (*end_job)(int status);
  /* The largest message, in bytes. */
  size_t max_bytes;
  /* A handle that done() gives back, or NULL. */
  void* (*send)(const void* bytes, size_t count, int to, int tag);
  void* (*receive)(void* bytes, size_t count, int from, int tag);
  /* 1: done, and the handle is gone; 0: not yet; -1: an error. */
  int (*done)(void* handle);
};

/* The module's one name. */
__attribute__((visibility("default"))) extern const struct vitrail_mpi vitrail_mpi_functions;

#ifdef __cplusplus
}
#endif
#endif /* VITRAIL_DISTRIBUTED_MPI_MODULE_H_ */
