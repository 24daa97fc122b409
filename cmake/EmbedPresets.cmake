# vitrail_embed_presets(TARGET HEADER FOLDER): every FOLDER/NAME.json becomes a PresetFile of
# kPresetFiles, which HEADER declares. Changed and new files are taken up by the next build.
function(vitrail_embed_presets target header folder)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.json)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/preset_files.cpp)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} "-DFILES=${files}" -DOUTPUT=${output} -DHEADER=${header}
            -P ${PROJECT_SOURCE_DIR}/cmake/embed_preset_files.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed_preset_files.cmake
    VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
