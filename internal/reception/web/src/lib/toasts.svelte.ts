// What has just been said: what was done, with a way back, and what went wrong.
import type { NoAnswer, Problem } from "mems-client";
import { errorText } from "./refusal.js";

export interface Toast {
  id: number;
  text: string;
  kind: "done" | "wrong";
  undo?: () => Promise<void>;
}

class Toasts {
  list = $state<Toast[]>([]);
  private lastId = 0;

  say(text: string, undo?: () => Promise<void>): void {
    this.add({ text, kind: "done", ...(undo ? { undo } : {}) });
  }

  showError(error: Problem | NoAnswer | undefined): void {
    if (error) this.add({ text: errorText(error), kind: "wrong" });
  }

  warn(text: string): void {
    this.add({ text, kind: "wrong" });
  }

  dismiss(id: number): void {
    this.list = this.list.filter((t) => t.id !== id);
  }

  clear(): void {
    this.list = [];
  }

  private add(t: Omit<Toast, "id">): void {
    const toast = { ...t, id: ++this.lastId };
    this.list = [...this.list.slice(-2), toast];
    setTimeout(() => this.dismiss(toast.id), t.undo ? 12_000 : 7_000);
  }
}

export const toasts = new Toasts();
