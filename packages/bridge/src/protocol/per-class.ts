import type { QueryClass } from './pg.ts'

/** Calls `make` once for each class of queries: a program may have several copies of `pg`. */
export function perClass<T>(make: (Query: QueryClass) => T): (Query: QueryClass) => T {
  const made = new WeakMap<QueryClass, { readonly it: T }>()
  return (Query) => {
    let known = made.get(Query)
    if (known === undefined) {
      known = { it: make(Query) }
      made.set(Query, known)
    }
    return known.it
  }
}
