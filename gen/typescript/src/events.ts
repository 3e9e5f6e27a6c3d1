// Reads server-sent events, as the HTML standard describes their syntax.

/** One event as it came: `data` is text. */
export interface RawEvent {
  id: string | undefined;
  event: string;
  data: string;
}

/** What {@link EventReader.read} reports beside whole events. */
export interface EventHandler {
  event: (event: RawEvent) => void;
  /** The server asks for this wait, in milliseconds, before a new connection. */
  retry: (milliseconds: number) => void;
}

/** Takes text as it arrives, cut anywhere, and reports each whole event. */
export class EventReader {
  private rest = "";
  private data: string[] = [];
  private name = "";
  private id: string | undefined;

  constructor(private readonly handler: EventHandler) {}

  read(text: string): void {
    let pending = this.rest + text;
    // CRLF may be cut in two: a CR at the end waits for what follows it.
    const held = pending.endsWith("\r") ? "\r" : "";
    pending = held ? pending.slice(0, -1) : pending;
    const lines = pending.split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? "") + held;
    for (const line of lines) this.line(line);
  }

  private line(line: string): void {
    if (line === "") {
      if (this.data.length > 0) {
        this.handler.event({ id: this.id, event: this.name || "message", data: this.data.join("\n") });
      }
      this.data = [];
      this.name = "";
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // A comment, sent to show that the connection lives.
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    switch (field) {
      case "data":
        this.data.push(value);
        break;
      case "event":
        this.name = value;
        break;
      case "id":
        if (!value.includes("\0")) this.id = value;
        break;
      case "retry":
        if (/^\d+$/.test(value)) this.handler.retry(Number(value));
        break;
    }
  }
}
