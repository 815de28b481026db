/**
 * Adds `extension()` to Kysely.
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
import type { DrizzleLike } from './drizzle/types.ts'
import { addKyselyMethod } from './kysely/add-method.ts'
import {
  installExtension,
  type KyselyExtensions,
  type SharedConnectionExtension,
} from './shared/extension.ts'
import type { SharedKysely } from './shared/shared-connection.ts'

declare module 'kysely' {
  interface Kysely<DB> {
    /** Makes a database that shares the connection and the transactions of a Drizzle database. */
    extension<O extends DrizzleLike = DrizzleLike>(
      name: 'shared-connection',
      options?: SharedConnectionExtension<O>,
    ): SharedKysely<DB, O>
    /** Installs an extension that was registered with `registerExtension`. */
    extension<Name extends keyof KyselyExtensions<DB>>(
      name: Name,
      ...args: KyselyExtensions<DB>[Name] extends (...args: infer A) => unknown ? A : never
    ): KyselyExtensions<DB>[Name] extends (...args: never[]) => infer R ? R : never
  }
}

addKyselyMethod('extension', installExtension)
