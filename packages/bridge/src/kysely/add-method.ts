import { Kysely } from 'kysely'

/** Gives every Kysely database a method more. Called by the door that a user imports for it. */
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
