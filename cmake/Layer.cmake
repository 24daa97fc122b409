# vitrail_layer(NAME [PROGRAMS] [PLAIN] LINKS other layers ... LIBRARIES external targets ...)
# A layer is a folder of src/: one static target holding every .cpp below it, linking only the
# layers named. tools/check_layers.py holds includes to the same edges. A layer of the PROGRAMS is no
# part of the library; a PLAIN one computes nothing that takes time.
function(vitrail_layer name)
  cmake_parse_arguments(LAYER "PROGRAMS;PLAIN" "" "LINKS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/reference/")
  list(TRANSFORM LAYER_LINKS PREPEND vitrail_)
  if(sources)
    add_library(vitrail_${name} STATIC ${sources})
    vitrail_unity(vitrail_${name} 16)
    if(LAYER_PLAIN)
      vitrail_plain(vitrail_${name})
    endif()
    set(scope PUBLIC)
    if(NOT LAYER_PROGRAMS)
      set_property(GLOBAL APPEND PROPERTY VITRAIL_LAYERS vitrail_${name})
      set_property(GLOBAL APPEND PROPERTY VITRAIL_LIBRARIES ${LAYER_LIBRARIES})
    endif()
  else()  # headers only
    add_library(vitrail_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(vitrail_${name} ${scope}
    ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(vitrail_${name} ${scope} vitrail_settings ${LAYER_LINKS} ${LAYER_LIBRARIES})
endfunction()

# vitrail_unity(TARGET FILES): where VITRAIL_UNITY is on, so many files are compiled at a time, so that
# what they include is read, and its templates are instantiated, once for all. Names of files' own
# (anonymous namespaces) must then differ within the target: tools/check_file_names.py holds that.
function(vitrail_unity target files)
  if(VITRAIL_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${files})
  endif()
endfunction()

# vitrail_plain(TARGET): what reads, writes and arranges, and leaves arithmetic to other layers. -O2
# compiles it in a tenth less time than the -O3 of a release, and it runs as fast.
function(vitrail_plain target)
  if(CMAKE_CXX_FLAGS_RELEASE MATCHES "-O3")
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:$<$<CONFIG:Release>:-O2>>)
  endif()
endfunction()

# vitrail_simd(NAME): the layer holds SIMD code, which Highway compiles once per instruction set.
# All such layers, and core, which chooses among the sets, must agree on which there are.
function(vitrail_simd name)
  target_link_libraries(vitrail_${name} PRIVATE hwy::hwy)
  set_property(GLOBAL APPEND PROPERTY VITRAIL_LIBRARIES hwy::hwy)
  # Files that include themselves once per instruction set are compiled one by one.
  get_target_property(sources vitrail_${name} SOURCES)
  foreach(source IN LISTS sources)
    file(STRINGS ${source} per_target REGEX "hwy/foreach_target.h" LIMIT_COUNT 1)
    if(per_target)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    # The floor is SSE4 (2010); AVX2 and AVX-512 are chosen at run time. Highway's other targets
    # would only lengthen the build.
    set(disabled "HWY_SSSE3|HWY_AVX3_DL")
    if(VITRAIL_BASELINE_SIMD)
      string(APPEND disabled "|HWY_AVX2|HWY_AVX3")
    endif()
    target_compile_options(vitrail_${name} PRIVATE -msse4.2 -maes -mpclmul)
    target_compile_definitions(vitrail_${name} PRIVATE "HWY_DISABLED_TARGETS=(${disabled})")
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # NEON alone: the tiles count on vectors whose length the compiler knows.
    target_compile_definitions(vitrail_${name} PRIVATE
      "HWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)")
  endif()
endfunction()

# vitrail_quick_to_build(NAME): for programs that run for a second and take ten to optimise. What
# they link keeps its flags. Sanitizers see more in code that is as it was written.
function(vitrail_quick_to_build name)
  if(VITRAIL_SANITIZE)
    target_compile_options(${name} PRIVATE -O0)
  endif()
endfunction()

# vitrail_loaded(LAYER DEFINITION TARGET): the layer loads TARGET's library when it is first needed
# (core/lazy_library.h), under the name that DEFINITION holds, and links it not.
function(vitrail_loaded layer definition target)
  get_target_property(file ${target} IMPORTED_LOCATION_RELEASE)
  if(NOT file)
    get_target_property(file ${target} IMPORTED_LOCATION)
  endif()
  if(NOT file)  # of pkg-config: the linker's name of it
    get_target_property(file ${target} INTERFACE_LINK_LIBRARIES)
    list(GET file 0 file)
  endif()
  execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${file} OUTPUT_VARIABLE headers)
  if(NOT headers MATCHES "SONAME +([^ \n]+)")
    message(FATAL_ERROR "${file} is no shared library that could be loaded when it is needed")
  endif()
  target_compile_definitions(vitrail_${layer} PRIVATE ${definition}="${CMAKE_MATCH_1}")
  get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
  if(includes)
    target_include_directories(vitrail_${layer} PRIVATE ${includes})
  endif()
endfunction()

# vitrail_test(FOLDER LINKS layers ...): one GoogleTest program from tests/FOLDER/*_test.cpp.
function(vitrail_test folder)
  cmake_parse_arguments(TEST "" "" "LINKS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  string(REPLACE "/" "_" name test_${folder})
  add_executable(${name} ${sources})
  vitrail_unity(${name} 8)  # a test that was changed is soon compiled again
  list(TRANSFORM TEST_LINKS PREPEND vitrail_)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE
    VITRAIL_SOURCE_DIR="${PROJECT_SOURCE_DIR}" VITRAIL_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE ${TEST_LINKS} ${TEST_LIBRARIES} GTest::gtest_main)
  vitrail_quick_to_build(${name})
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX ${folder}/
                       PROPERTIES TIMEOUT 1800)
endfunction()
