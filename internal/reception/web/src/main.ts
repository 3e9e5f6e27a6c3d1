import { mount } from "svelte";
import App from "./App.svelte";
import { ignoreSecondClick } from "./lib/twice.js";
import "./style/base.css";
import "./style/frame.css";
import "./style/calendar.css";
import "./style/dialogs.css";
import "./style/views.css";
import "./style/panel.css";
import "./style/media.css";

// In the capture phase: before any handler of the desk.
addEventListener("click", ignoreSecondClick, true);

const target = document.getElementById("app");
if (target) mount(App, { target });
