/**
 * Adds the method `extension()` to every Kysely database. Importing this module is enough.
 *
 * ```ts
 * import 'shared-connection/register'
 *
 * const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: orm.$client }) })
 *   .extension('shared-connection', { drizzle: orm })
 * ```
 *
 * @module
 */
// The types come through the front door: declarations that TypeScript writes for a program that
// imports only this one can then name them.
import type { DrizzleLike, ExtensionArguments, ExtensionName, ExtensionResult } from './index.ts'
import { addKyselyMethod } from './kysely/add-method.ts'
import { installExtension } from './shared/extension.ts'

declare module 'kysely' {
  interface Kysely<DB> {
    /**
     * Returns a database that shares the connection and the transactions of a Drizzle database. It has
     * the tables, plugins and log of this one. Sends nothing and opens no connection. If this database
     * uses another pool than Drizzle, the first call on the result rejects with
     * {@link DifferentPoolError}.
     *
     * With the name of an extension that was registered by `registerExtension()`, installs that one, and
     * returns its result.
     *
     * ```ts
     * const db = kysely.extension('shared-connection', { drizzle: orm })
     * ```
     *
     * @throws {@link AmbiguousDatabaseError} without `drizzle`, unless exactly one database is shared
     * @throws {@link OptionsConflictError} if the pool is shared already, with other options
     * @throws {@link InvalidArgumentError} for anything but a Drizzle database on `pg` 8.21 or newer, and
     *   for an extension that is not registered
     */
    extension<Name extends ExtensionName<DB>, O extends DrizzleLike = DrizzleLike>(
      name: Name,
      ...args: ExtensionArguments<DB, Name, O>
    ): ExtensionResult<DB, Name, O>
  }
}

addKyselyMethod('extension', installExtension)
