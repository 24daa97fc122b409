# Included by cmake --install: programs find a library in one of the loader's own folders, such as
# /usr/local/lib, by the loader's cache, which root renews. VITRAIL_LIBRARY_DIR is where the library
# is now. A folder that the loader does not search is left to its user, and so is one of DESTDIR.
find_program(VITRAIL_LDCONFIG ldconfig PATHS /sbin /usr/sbin)
if(VITRAIL_LDCONFIG AND "$ENV{DESTDIR}" STREQUAL "")
  # Each folder in a line that begins with it and a colon; -N and -X: only said, nothing changed.
  execute_process(COMMAND ${VITRAIL_LDCONFIG} -v -N -X OUTPUT_VARIABLE searched ERROR_QUIET)
  string(FIND "\n${searched}" "\n${VITRAIL_LIBRARY_DIR}:" found)
  if(NOT found EQUAL -1)
    execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(user STREQUAL "0")
      execute_process(COMMAND ${VITRAIL_LDCONFIG})
    else()
      message(STATUS "For programs to find the library: sudo ldconfig")
    endif()
  endif()
endif()
