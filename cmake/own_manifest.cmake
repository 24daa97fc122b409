# Included by cmake --install, which writes the list of what it installed into the build at its end:
# made here before, the list keeps the owner of the build. VITRAIL_BUILD_DIR.
include(${CMAKE_CURRENT_LIST_DIR}/build_owner.cmake)
if(BUILD_UID)
  set(manifest ${VITRAIL_BUILD_DIR}/install_manifest.txt)
  if(CMAKE_INSTALL_COMPONENT)
    set(manifest ${VITRAIL_BUILD_DIR}/install_manifest_${CMAKE_INSTALL_COMPONENT}.txt)
  endif()
  file(TOUCH ${manifest})
  execute_process(COMMAND chown ${BUILD_UID}:${BUILD_GID} ${manifest})
endif()
