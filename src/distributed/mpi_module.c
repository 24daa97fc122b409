#include "mpi_module.h"

#include <limits.h>
#include <mpi.h>
#include <stdlib.h>

static int start(int* rank, int* ranks) {
  int provided = 0;
  /* One thread calls MPI; others (the loader's, the pool's) exist beside it. */
  if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) return 1;
  if (provided < MPI_THREAD_FUNNELED) return 2;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (MPI_Comm_rank(MPI_COMM_WORLD, rank) != MPI_SUCCESS) return 3;
  return MPI_Comm_size(MPI_COMM_WORLD, ranks) == MPI_SUCCESS ? 0 : 4;
}

static int stop(void) {
  return MPI_Finalize() == MPI_SUCCESS ? 0 : 1;
}

static void end_job(int status) {
  MPI_Abort(MPI_COMM_WORLD, status);
}

static void* given(MPI_Request* request, int status) {
  if (status == MPI_SUCCESS) return request;
  free(request);
  return NULL;
}

static void* send_bytes(const void* bytes, size_t count, int to, int tag) {
  MPI_Request* request = malloc(sizeof *request);
  if (request == NULL) return NULL;
  return given(request, MPI_Isend(bytes, (int)count, MPI_BYTE, to, tag, MPI_COMM_WORLD, request));
}

static void* receive_bytes(void* bytes, size_t count, int from, int tag) {
  MPI_Request* request = malloc(sizeof *request);
  if (request == NULL) return NULL;
  return given(request, MPI_Irecv(bytes, (int)count, MPI_BYTE, from, tag, MPI_COMM_WORLD, request));
}

static int done(void* handle) {
  int flag = 0;
  if (MPI_Test(handle, &flag, MPI_STATUS_IGNORE) != MPI_SUCCESS) return -1;
  if (flag) free(handle);
  return flag;
}

const struct vitrail_mpi vitrail_mpi_functions = {
    start, stop, end_job, (size_t)INT_MAX, send_bytes, receive_bytes, done,
};
