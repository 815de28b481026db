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
// The types come through the front door: declarations that TypeScript writes for a program that
// imports only this one can then name them.
import type {
  DrizzleLike,
  KyselyExtensions,
  SharedConnectionExtension,
  SharedKysely,
} from './index.ts'
import { addKyselyMethod } from './kysely/add-method.ts'
import { installExtension } from './shared/extension.ts'

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
