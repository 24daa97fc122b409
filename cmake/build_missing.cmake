# Included by cmake --install: builds what is to be installed where it was not built yet, as after
# ./demo, which builds the command alone. VITRAIL_PRODUCTS, VITRAIL_BUILD_DIR.
set(missing FALSE)
foreach(product ${VITRAIL_PRODUCTS})
  if(NOT EXISTS "${product}")
    set(missing TRUE)
  endif()
endforeach()
if(missing)
  message(STATUS "Building what is to be installed")
  set(build ${CMAKE_COMMAND} --build ${VITRAIL_BUILD_DIR} --target installed)
  # Under sudo the build stays its owner's: a log of ninja that belongs to root would stop the next.
  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
  execute_process(COMMAND stat -c %u ${VITRAIL_BUILD_DIR}
    OUTPUT_VARIABLE owner OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(user STREQUAL "0" AND NOT owner STREQUAL "0")
    execute_process(COMMAND stat -c %g ${VITRAIL_BUILD_DIR}
      OUTPUT_VARIABLE group OUTPUT_STRIP_TRAILING_WHITESPACE)
    list(PREPEND build setpriv --reuid ${owner} --regid ${group} --clear-groups)
  endif()
  execute_process(COMMAND ${build} COMMAND_ERROR_IS_FATAL ANY)
endif()
