// The contract's bounds of what a form sends, as a field's attributes.
interface Bounds {
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** What a field takes; how short a text may be is left to the server, which says it in the desk's words. */
export function field({ maxLength, minimum, maximum }: Bounds): { maxlength?: number; min?: number; max?: number } {
  return {
    ...(maxLength === undefined ? {} : { maxlength: maxLength }),
    ...(minimum === undefined ? {} : { min: minimum }),
    ...(maximum === undefined ? {} : { max: maximum }),
  };
}
