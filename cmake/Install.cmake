# cmake --install: the command, the bundled models, and one library for find_package(vitrail) and
# pkg-config. The target `uninstall` takes it away again.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
include(cmake/Library.cmake)

# What is installed, as one target. ./demo builds the command alone: what is missing is built now.
add_custom_target(installed DEPENDS vitrail_library)
foreach(target vitrail vitrail_mpi)
  if(TARGET ${target})
    add_dependencies(installed ${target})
  endif()
endforeach()
set(products $<TARGET_FILE:vitrail_library>)
if(TARGET vitrail)
  list(APPEND products $<TARGET_FILE:vitrail>)
endif()
if(TARGET vitrail_mpi)
  list(APPEND products $<TARGET_FILE:vitrail_mpi>)
endif()
string(JOIN "\" \"" quoted ${products})
set(build_missing "set(VITRAIL_PRODUCTS \"${quoted}\")\n")
string(APPEND build_missing "set(VITRAIL_BUILD_DIR \"${PROJECT_BINARY_DIR}\")\n")
string(APPEND build_missing "include(\"${PROJECT_SOURCE_DIR}/cmake/build_missing.cmake\")")
install(CODE "${build_missing}")
install(CODE "set(VITRAIL_BUILD_DIR \"${PROJECT_BINARY_DIR}\")
  include(\"${PROJECT_SOURCE_DIR}/cmake/own_manifest.cmake\")" ALL_COMPONENTS)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/vitrail)
if(BUILD_SHARED_LIBS)
  install(TARGETS vitrail_library EXPORT vitrailSharedTargets
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT vitrailSharedTargets NAMESPACE vitrail:: DESTINATION ${package})
  cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "\${CMAKE_INSTALL_PREFIX}"
             OUTPUT_VARIABLE library_dir)
  install(CODE "set(VITRAIL_LIBRARY_DIR \"${library_dir}\")
    include(\"${PROJECT_SOURCE_DIR}/cmake/renew_loader.cmake\")")
  set(only_when_asked COMPONENT static EXCLUDE_FROM_ALL)
  install(TARGETS vitrail_static EXPORT vitrailStaticTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} ${only_when_asked})
else()
  set(only_when_asked "")
  install(TARGETS vitrail_library EXPORT vitrailStaticTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(EXPORT vitrailStaticTargets NAMESPACE vitrail:: DESTINATION ${package} ${only_when_asked})

install(DIRECTORY include/vitrail DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(TARGET vitrail)
  install(TARGETS vitrail RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/models)
  install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/vitrail)
endif()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

configure_package_config_file(cmake/vitrailConfig.cmake.in ${PROJECT_BINARY_DIR}/vitrailConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vitrailConfigVersion.cmake
  COMPATIBILITY ${VITRAIL_COMPATIBILITY})
install(FILES ${PROJECT_BINARY_DIR}/vitrailConfig.cmake
              ${PROJECT_BINARY_DIR}/vitrailConfigVersion.cmake DESTINATION ${package})

include(cmake/PkgConfigFile.cmake)

add_custom_target(uninstall
  COMMAND ${CMAKE_COMMAND} -DBUILD_DIR=${PROJECT_BINARY_DIR}
          -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
  COMMENT "Uninstalling" VERBATIM)
