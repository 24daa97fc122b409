# cmake --install: the command, the bundled models, and one library for find_package(vitrail).
#
# Every layer goes into one shared library, whose exported names are those that include/vitrail
# marks with VITRAIL_API: programs depend neither on the layers nor on the libraries below them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(layers GLOBAL PROPERTY VITRAIL_LAYERS)
list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(vitrail_library SHARED ${objects})
add_library(vitrail::vitrail ALIAS vitrail_library)
# The archives add nothing to the objects; they carry the libraries that the layers need.
target_link_libraries(vitrail_library PRIVATE ${layers})
target_include_directories(vitrail_library INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(vitrail_library INTERFACE cxx_std_20)
set_target_properties(vitrail_library PROPERTIES
  OUTPUT_NAME vitrail EXPORT_NAME vitrail LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

install(TARGETS vitrail_library EXPORT vitrailTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/vitrail DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(TARGET vitrail)
  install(TARGETS vitrail RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/models)
  install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/vitrail)
endif()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/vitrail)
install(EXPORT vitrailTargets NAMESPACE vitrail:: DESTINATION ${package})
configure_package_config_file(cmake/vitrailConfig.cmake.in ${PROJECT_BINARY_DIR}/vitrailConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vitrailConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vitrailConfig.cmake
              ${PROJECT_BINARY_DIR}/vitrailConfigVersion.cmake DESTINATION ${package})
