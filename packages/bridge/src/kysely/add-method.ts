import { Kysely } from 'kysely'

/** Adds a method to every Kysely database. Only the entry point that a user imports for it calls this. */
export function addKyselyMethod(
  name: string,
  method: (db: Kysely<never>, args: readonly unknown[]) => unknown,
): void {
  Object.defineProperty(Kysely.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Kysely<never>, ...args: unknown[]) {
      return method(this, args)
    },
  })
}
