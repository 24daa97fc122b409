// Vitrail for C++ programs: load a Vision Transformer, classify, take features, explain, train.
//
//   vit::Session session{vit::Model("my-model")};
//   for (const vit::Prediction& p : session.classify("photo.jpg").top)
//     std::cout << p.label.value_or("?") << " " << p.probability << "\n";
//
// Everything throws vit::Error and nothing else, with one line that says where, what and what would
// be right. docs/API.md is the whole of it, with examples.
#pragma once

#include <vitrail/classification.h>
#include <vitrail/error.h>
#include <vitrail/explanation.h>
#include <vitrail/export.h>
#include <vitrail/log.h>
#include <vitrail/model.h>
#include <vitrail/picture.h>
#include <vitrail/result.h>
#include <vitrail/session.h>
#include <vitrail/train.h>
#include <vitrail/version.h>
