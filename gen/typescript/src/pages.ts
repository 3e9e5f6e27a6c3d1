// Lists longer than one page.
import { type Result, unwrap } from "./result.js";

interface Page<T> {
  items: readonly T[];
  next_cursor: string | null;
  /** A feed always says where to go on; this says whether there is anything yet. */
  more?: boolean;
}

type List = (options: never) => Promise<Result<Page<unknown>>>;
type Item<L extends List> = Extract<Awaited<ReturnType<L>>, { error: undefined }>["data"]["items"][number];

/**
 * The items of a list, page by page, each page read when its first item is
 * wanted. Takes any operation that answers `items` and `next_cursor`:
 *
 *     for await (const patient of pages(mems.listPatients, { query: { name: "must" } })) { ... }
 *
 * Throws ProblemError or NoAnswer when a page cannot be read.
 */
export async function* pages<L extends List>(
  list: L,
  ...[options]: Parameters<L>
): AsyncGenerator<Item<L>, void, undefined> {
  const read = list as unknown as (options: object) => Promise<Result<Page<Item<L>>>>;
  const asked: { query?: object } = options ?? {};
  let next: string | null = null;
  do {
    const page: Page<Item<L>> = await unwrap(
      read(next === null ? asked : { ...asked, query: { ...asked.query, cursor: next } }),
    );
    yield* page.items;
    next = page.more === false ? null : page.next_cursor;
  } while (next !== null);
}
