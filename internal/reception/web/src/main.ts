import { mount } from "svelte";
import App from "./App.svelte";
import { ignoreSecondClick } from "./lib/twice.js";
import "./style.css";

// In the capture phase: before any handler of the desk.
addEventListener("click", ignoreSecondClick, true);

const target = document.getElementById("app");
if (target) mount(App, { target });
