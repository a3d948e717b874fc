#include "serving/http/page.h"

#include <openssl/evp.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "image/decode.h"
#include "serving/access_log.h"
#include "serving/http/app.h"
#include "serving/http/classify.h"
#include "serving/http/problem.h"

namespace oriel::serving::http {
namespace {

constexpr char kHtml[] = "text/html; charset=utf-8";

// Only what browsers draw and cannot run: never a type that the client names.
const char* MediaType(Bytes image) {
  switch (image::SniffFormat(image)) {
    case image::Format::kJpeg:
      return "image/jpeg";
    case image::Format::kPng:
      return "image/png";
    case image::Format::kGif:
      return "image/gif";
    case image::Format::kBmp:
      return "image/bmp";
    case image::Format::kWebp:
      return "image/webp";
    default:
      return nullptr;
  }
}

std::string DataUrl(const std::string& image, size_t max_bytes) {
  const char* type = MediaType(AsBytes(image));
  if (type == nullptr || image.size() > max_bytes) return "";
  std::string url = fmt::format("data:{};base64,", type);
  const size_t begin = url.size();
  url.resize(begin + (image.size() + 2) / 3 * 4 + 1);  // and a NUL of OpenSSL's
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(url.data() + begin),
                  reinterpret_cast<const unsigned char*>(image.data()),
                  static_cast<int>(image.size()));
  url.pop_back();
  return url;
}

std::string TimingText(const ImageTimings& timings) {
  return fmt::format(
      "{:.0f} ms waiting, {:.0f} ms reading the picture, {:.0f} ms in the "
      "network",
      Milliseconds(timings.queue), Milliseconds(timings.preprocess),
      Milliseconds(timings.compute));
}

}  // namespace

void SendStatic(const StaticFile& file, const char* type, const Request& request,
                Responder responder) {
  Response response;
  response.headers = {{"Cache-Control", "no-cache"}, {"ETag", file.etag}};
  if (request.head.Header("if-none-match") == file.etag) {
    response.status = 304;
  } else {
    response.content_type = type;
    response.body = file.body;
  }
  std::move(responder).Send(std::move(response));
}

void GetStyle(App& app, Request request, Responder responder) {
  SendStatic(app.web.style(), "text/css; charset=utf-8", request, std::move(responder));
}

void GetScript(App& app, Request request, Responder responder) {
  SendStatic(app.web.script(), "text/javascript; charset=utf-8", request,
             std::move(responder));
}

void GetPage(App& app, Request, Responder responder) {
  PageData page;
  page.note = app.options.note;
  const auto model = app.models.Get({});
  if (model.ok()) page.model = &(*model)->session().config();
  std::move(responder).Send({.content_type = kHtml, .body = app.web.RenderPage(page)});
}

void PostPage(App& app, Request request, Responder responder) {
  struct Context {
    App& app;
    Request request;
    Responder responder;
    std::vector<Upload> uploads;
    std::shared_ptr<const model::Session> session;
    std::vector<ImageAnswer> answers;

    void Render() {
      PageData page;
      page.model = &session->config();
      page.note = app.options.note;
      Response response;
      size_t failed = 0;
      for (size_t i = 0; i < answers.size(); ++i) {
        PageResult result;
        result.filename = uploads[i].filename;
        if (answers[i].status.ok()) {
          result.picture = DataUrl(*uploads[i].bytes, app.options.max_echo_bytes);
          result.labels = std::move(answers[i].labels);
          result.timing = TimingText(answers[i].timings);
        } else {
          const Problem problem =
              ImageProblem(answers[i].status, AsBytes(*uploads[i].bytes));
          result.error = problem.reason;
          if (failed++ == 0) response.status = problem.status;
        }
        page.results.push_back(std::move(result));
      }
      if (failed < answers.size()) response.status = 200;
      response.inference = ReportOf(*session, answers);
      response.content_type = kHtml;
      response.body = app.web.RenderPage(page);
      std::move(responder).Send(std::move(response));
    }
  };
  auto context = std::make_shared<Context>(
      Context{app, std::move(request), std::move(responder), {}, nullptr, {}});
  const auto fail = [&](const absl::Status& status) {
    std::move(context->responder)
        .Send(ErrorResponse(ProblemFrom(status), context->request.head, Audience::kPerson,
                            app.web));
  };
  const auto model = ReadyModel(app, context->request.head);
  if (!model.ok()) return fail(model.status());
  context->session = (*model)->session().shared_from_this();
  auto uploads = TakeUploads(app, context->request, "file");
  if (!uploads.ok()) return fail(uploads.status());
  context->uploads = *std::move(uploads);
  auto classify = MakeClassifyRequest(app, context->request, context->uploads);
  if (!classify.ok()) return fail(classify.status());
  const absl::Status accepted = (*model)->Classify(
      *std::move(classify), [context](std::vector<ImageAnswer> answers) {
        context->answers = std::move(answers);
        // The picture goes into the page: too much work for a plan worker.
        context->app.pool.SubmitUrgent([context] {
          try {
            context->Render();
          } catch (const std::exception& error) {  // the responder says 500 when it goes
            spdlog::error("the page could not be made: {}", error.what());
          }
        });
      });
  if (!accepted.ok()) fail(accepted);
}

}  // namespace oriel::serving::http
