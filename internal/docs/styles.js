// Lets the page's own program style it under a policy that allows no inline
// styles: elements that it makes get the page's nonce, and style attributes are
// set by way of the object model, which the policy leaves to scripts.
const nonce = document.currentScript.nonce;
const create = document.createElement;
document.createElement = function (name, ...rest) {
  const element = create.call(this, name, ...rest);
  if (String(name).toLowerCase() === "style") element.nonce = nonce;
  return element;
};
const set = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (String(name).toLowerCase() === "style" && this.style) this.style.cssText = value;
  else set.call(this, name, value);
};
