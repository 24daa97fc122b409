# vitrail.pc. Its folders are those of the prefix that cmake --install is given, which may be another
# than the one of the configure step: so they are relative to the file itself.
file(RELATIVE_PATH VITRAIL_PC_PREFIX
  /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
set(VITRAIL_PC_PREFIX "\${pcfiledir}/${VITRAIL_PC_PREFIX}")
string(REGEX REPLACE "/$" "" VITRAIL_PC_PREFIX "${VITRAIL_PC_PREFIX}")
foreach(kind LIBDIR INCLUDEDIR)
  set(VITRAIL_PC_${kind} ${CMAKE_INSTALL_${kind}})
  if(NOT IS_ABSOLUTE "${VITRAIL_PC_${kind}}")
    set(VITRAIL_PC_${kind} "\${prefix}/${VITRAIL_PC_${kind}}")
  endif()
endforeach()

# What the static library needs. Beside a shared one it is for pkg-config --static alone.
set(needed_packages " fmt libhwy libjpeg libpng zlib libwebp libwebpdemux")
set(needed_libraries " -pthread -ldl")
set(hidden "")
if(BUILD_SHARED_LIBS)
  set(hidden _PRIVATE)
endif()
set(VITRAIL_PC_REQUIRES${hidden} "${needed_packages}")
set(VITRAIL_PC_LIBS${hidden} "${needed_libraries}")
configure_file(cmake/vitrail.pc.in ${PROJECT_BINARY_DIR}/vitrail.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vitrail.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
