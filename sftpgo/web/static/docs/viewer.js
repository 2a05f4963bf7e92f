"use strict";

// Nothing leaves this server: no validator badge, and the description is our own.
SwaggerUIBundle({
  url: "api/v1/openapi.yaml",
  dom_id: "#viewer",
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  requestInterceptor: function (request) {
    // What proves that a GET which changes something was meant.
    if (new URL(request.url, location.href).origin === location.origin) {
      request.headers["X-Requested-With"] = "docs";
    }
    return request;
  },
});
