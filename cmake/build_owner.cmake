# Included by the scripts of cmake --install. Sets BUILD_UID and BUILD_GID where root installs from
# the build of somebody else, as under sudo; elsewhere they are empty. The build stays its owner's:
# a log of ninja or a list of files that belongs to root would stop the owner's next command.
# VITRAIL_BUILD_DIR.
set(BUILD_UID "")
set(BUILD_GID "")
execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
if(user STREQUAL "0")
  execute_process(COMMAND stat -c "%u;%g" ${VITRAIL_BUILD_DIR}
    OUTPUT_VARIABLE owner OUTPUT_STRIP_TRAILING_WHITESPACE)
  list(GET owner 0 uid)
  if(NOT uid STREQUAL "0")
    set(BUILD_UID ${uid})
    list(GET owner 1 BUILD_GID)
  endif()
endif()
