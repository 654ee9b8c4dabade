// html-validate's rules for the served pages and for what scripts have made of them. A rule is switched off or set otherwise only
// with its reason beside it; element types are checked by the Nu validator as well.
module.exports = {
  root: true,
  extends: ["html-validate:recommended", "html-validate:a11y"],
  rules: {
    // templ writes <meta/>. The HTML standard allows the slash on void elements and gives it no meaning.
    "void-style": "off",
    // templ writes <!doctype html>, and the standard takes any case.
    "doctype-style": "off",
    // What scripts have made is written down by the browser, which always writes required="".
    "attribute-boolean-style": "off",
    // The standard lets rel="expect" block rendering (HTML 4.6.7.8), which this version does not know yet.
    "attribute-misuse": "off",
    // The box in which a wide table scrolls is no section of the text. It has a role so that its name is read out.
    "prefer-native-element": ["error", { exclude: ["region"] }],
  },
};
