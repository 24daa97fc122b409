# One place for language level, warnings, floating-point rules and sanitizers.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(VITRAIL_CCACHE ccache)
if(VITRAIL_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${VITRAIL_CCACHE})
endif()

add_library(vitrail_settings INTERFACE)
# No contraction: a*b+c is fused only where the kernels ask for it, so scalar tails, preprocessing
# and every target round alike.
# Structs of named fields leave out what keeps its default: that is their point.
target_compile_options(vitrail_settings INTERFACE
  -Wall -Wextra -Wshadow -Wno-missing-field-initializers -ffp-contract=off)

if(VITRAIL_SANITIZE STREQUAL "address")
  target_compile_options(vitrail_settings INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(vitrail_settings INTERFACE -fsanitize=address,undefined)
elseif(VITRAIL_SANITIZE STREQUAL "thread")
  target_compile_options(vitrail_settings INTERFACE -fsanitize=thread -fno-omit-frame-pointer -g1)
  target_link_options(vitrail_settings INTERFACE -fsanitize=thread)
elseif(VITRAIL_SANITIZE)
  message(FATAL_ERROR "VITRAIL_SANITIZE is '${VITRAIL_SANITIZE}'; it takes address, thread or nothing")
endif()
if(VITRAIL_FUZZ)
  target_compile_options(vitrail_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()
