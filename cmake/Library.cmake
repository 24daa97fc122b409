# The library of C++ programs: all layers in one, shared or static.
#
#   vitrail_library  the one that is built by default: shared, or static with BUILD_SHARED_LIBS=OFF
#   vitrail_static   beside a shared one, built and installed only when it is asked for:
#                      cmake --build DIR --target vitrail_static
#                      cmake --install DIR --component static
#
# A shared library exports what include/vitrail marks with VITRAIL_API and nothing else: programs
# depend neither on the layers nor on the libraries below them.
option(BUILD_SHARED_LIBS "The library as libvitrail.so; OFF: libvitrail.a" ON)

get_property(layers GLOBAL PROPERTY VITRAIL_LAYERS)
list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE layer_objects)

# Until 1.0 each minor version may change the interface. The name that the loader looks for says so,
# and so does what find_package accepts.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(VITRAIL_SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  set(VITRAIL_COMPATIBILITY SameMinorVersion)
else()
  set(VITRAIL_SOVERSION ${PROJECT_VERSION_MAJOR})
  set(VITRAIL_COMPATIBILITY SameMajorVersion)
endif()

function(vitrail_describe_library target export_name)
  target_include_directories(${target} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} INTERFACE cxx_std_20)
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME vitrail EXPORT_NAME ${export_name} LINKER_LANGUAGE CXX
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
    ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
endfunction()

function(vitrail_add_shared target)
  add_library(${target} SHARED ${layer_objects})
  # The archives add nothing to the objects; they carry the libraries that the layers need.
  target_link_libraries(${target} PRIVATE ${layers})
  # What templates of the standard library and of others leave in our objects has the visibility
  # that their headers give it: the linker hides that, and what is in static libraries below us.
  set(exports ${PROJECT_SOURCE_DIR}/cmake/vitrail.exports)
  target_link_options(${target} PRIVATE -Wl,--version-script=${exports} -Wl,--exclude-libs,ALL)
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${exports}
    VERSION ${PROJECT_VERSION} SOVERSION ${VITRAIL_SOVERSION})
  vitrail_describe_library(${target} shared)
endfunction()

# A program links what the layers need itself; vitrailConfig.cmake and vitrail.pc name it.
function(vitrail_add_static target)
  add_library(${target} STATIC ${ARGN} ${layer_objects})
  get_property(libraries GLOBAL PROPERTY VITRAIL_LIBRARIES)
  list(REMOVE_DUPLICATES libraries)
  list(REMOVE_ITEM libraries nlohmann_json::nlohmann_json)  # headers alone
  target_link_libraries(${target} PRIVATE ${libraries})
  vitrail_describe_library(${target} static)
endfunction()

if(BUILD_SHARED_LIBS)
  vitrail_add_shared(vitrail_library)
  vitrail_add_static(vitrail_static EXCLUDE_FROM_ALL)
else()
  vitrail_add_static(vitrail_library)
endif()
add_library(vitrail::vitrail ALIAS vitrail_library)
