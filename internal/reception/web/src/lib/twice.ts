// The second click of a double click lands on whatever the first one put under the
// pointer: the same button while its request is on the way, the next patient's, or
// Close. Where a click changes something or ends a dialog, only the first counts.

/** Stops the second click of a double click on a dialog, or on a button of a dialog or of the check-in board. */
export function ignoreSecondClick(e: MouseEvent): void {
  if (e.detail < 2 || !(e.target instanceof Element)) return; // the keyboard's clicks have no detail
  const button = e.target.closest("button");
  if (!(button ? button.closest("dialog, [data-once]") : e.target instanceof HTMLDialogElement)) return;
  e.preventDefault();
  e.stopImmediatePropagation();
}
