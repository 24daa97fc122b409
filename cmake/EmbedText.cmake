# vitrail_embed_text(TARGET HEADER NAMESPACE FILE ...): each text file becomes a string of TARGET,
# declared by HEADER in NAMESPACE: explain.html is kExplainHtml. Changed files are taken up by the
# next build.
function(vitrail_embed_text target header namespace)
  foreach(file ${ARGN})
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    cmake_path(GET file FILENAME name)
    set(output ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
    add_custom_command(
      OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -DINPUT=${file} -DOUTPUT=${output} -DHEADER=${header}
              -DNAMESPACE=${namespace} -P ${PROJECT_SOURCE_DIR}/cmake/embed_text_file.cmake
      DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/embed_text_file.cmake
      VERBATIM)
    target_sources(${target} PRIVATE ${output})
  endforeach()
endfunction()
