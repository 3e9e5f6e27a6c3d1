// Taking hold of something to move it. A mouse lifts it by moving; a finger by
// resting on it, since a finger that moves at once scrolls. Whatever interrupts
// the gesture puts back what was lifted.

/** How long a finger rests before it lifts. */
export const HOLD = 450;
/** How far a pointer strays before it counts as moving, in pixels. */
const STRAY = { mouse: 4, finger: 10 };

export interface Point {
  clientX: number;
  clientY: number;
}

export interface Handlers<T> {
  lifted(subject: T, at: Point): void;
  moved(subject: T, at: Point): void;
  /** moved: whether the pointer went anywhere since it lifted. */
  dropped(subject: T, moved: boolean): void;
  cancelled(subject: T): void;
}

interface Hold<T> {
  subject: T;
  pointer: number;
  element: Element;
  from: Point;
  since: number;
  finger: boolean;
  lifted: boolean;
  moved: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Gesture<T> {
  private hold: Hold<T> | undefined;
  private swallow = false;

  constructor(private handlers: Handlers<T>) {}

  /** Something is lifted: neither scrolling nor a menu may come of the pointer. */
  get lifted(): boolean {
    return this.hold?.lifted ?? false;
  }

  /** A finger rests or has lifted something. */
  get resting(): boolean {
    return this.hold?.finger ?? false;
  }

  /** A pointer goes down on something; at once: a mouse lifts it without moving. */
  down(e: PointerEvent, subject: T, atOnce = false): void {
    if (this.hold || !e.isPrimary || e.button !== 0 || !(e.currentTarget instanceof Element)) return;
    const finger = e.pointerType !== "mouse";
    const from = { clientX: e.clientX, clientY: e.clientY };
    this.hold = {
      subject,
      pointer: e.pointerId,
      element: e.currentTarget,
      from,
      since: e.timeStamp,
      finger,
      lifted: false,
      moved: false,
      timer: undefined,
    };
    if (finger) this.hold.timer = setTimeout(() => this.lift(from), HOLD);
    else if (atOnce) this.lift(from);
  }

  /** Of any pointer, before it is known what it is on. */
  anyDown(e: PointerEvent): void {
    this.swallow = false;
    if (this.hold && this.hold.pointer !== e.pointerId) this.cancel(); // a second finger
  }

  move(e: PointerEvent): void {
    const h = this.hold;
    if (h?.pointer !== e.pointerId) return;
    const far =
      Math.hypot(e.clientX - h.from.clientX, e.clientY - h.from.clientY) > (h.finger ? STRAY.finger : STRAY.mouse);
    if (!h.lifted) {
      if (!far) return;
      if (h.finger) {
        this.release(); // it scrolls
        return;
      }
      this.lift(e);
    }
    // A busy page hears of a swipe only after the time of a rest: when it happened counts.
    if (far && !h.moved && h.finger && e.timeStamp - h.since < HOLD) {
      this.cancel();
      return;
    }
    h.moved ||= far;
    if (h.moved) this.handlers.moved(h.subject, e);
  }

  up(e: PointerEvent): void {
    if (this.hold?.pointer !== e.pointerId) return;
    const h = this.release();
    if (!h?.lifted) return; // the click that follows says what was meant
    this.swallow = true;
    // The click of a finger comes after this, and would hit the dialog that opens now.
    if (h.finger && !h.moved) setTimeout(() => this.handlers.dropped(h.subject, false), 50);
    else this.handlers.dropped(h.subject, h.moved);
  }

  /** The browser took the pointer away: to scroll, or because what was held is gone. */
  lost(e: PointerEvent): void {
    if (this.hold?.pointer === e.pointerId && (e.type === "pointercancel" || this.hold.lifted)) this.cancel();
  }

  cancel(): void {
    const h = this.release();
    if (!h?.lifted) return;
    this.swallow = true;
    this.handlers.cancelled(h.subject);
  }

  /** Whether a click only ends a gesture. */
  swallows(e: MouseEvent): boolean {
    return this.swallow && e.detail > 0; // the keyboard's clicks have no detail
  }

  private lift(at: Point): void {
    const h = this.hold;
    if (!h) return;
    h.lifted = true;
    if (h.finger) navigator.vibrate?.(10);
    else h.element.setPointerCapture(h.pointer);
    this.handlers.lifted(h.subject, at);
  }

  private release(): Hold<T> | undefined {
    const h = this.hold;
    clearTimeout(h?.timer);
    this.hold = undefined;
    return h;
  }
}
