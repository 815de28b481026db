import { inCore } from '../core.ts'
import type { DrizzleLike } from '../drizzle/types.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { Kysely } from '../kysely/types.ts'
import type { SharedConnectionOptions } from '../settings.ts'
import { inWords, kindOf } from '../wording.ts'
import type { SharedKysely } from './shared-connection.ts'
import { shareWithKysely } from './shared-pool.ts'

/** The options of `db.extension('shared-connection', …)`. */
export interface SharedConnectionExtension<O extends DrizzleLike> extends SharedConnectionOptions {
  /** The Drizzle database to share with. May be omitted if exactly one is shared already. */
  readonly drizzle?: O
}

/**
 * The types of registered extensions. Add yours by declaration merging:
 *
 * ```ts
 * declare module 'shared-connection' {
 *   interface KyselyExtensions<DB> { audited: (options: { table: string }) => Kysely<DB> }
 * }
 * ```
 */
// eslint-disable-next-line typescript/no-unused-vars -- DB is for those who merge into it
export interface KyselyExtensions<DB> {}

/** The names of the extensions whose types are known. */
export type ExtensionName<DB> = 'shared-connection' | keyof KyselyExtensions<DB>

/** The arguments of `db.extension(name, …)` behind the name. */
export type ExtensionArguments<DB, Name, O extends DrizzleLike> = Name extends 'shared-connection'
  ? [options?: SharedConnectionExtension<O>]
  : Name extends keyof KyselyExtensions<DB>
    ? KyselyExtensions<DB>[Name] extends (...args: infer A) => unknown
      ? A
      : never
    : never

/** The result of `db.extension(name, …)`. */
export type ExtensionResult<DB, Name, O extends DrizzleLike> = Name extends 'shared-connection'
  ? SharedKysely<DB, O>
  : Name extends keyof KyselyExtensions<DB>
    ? KyselyExtensions<DB>[Name] extends (...args: never[]) => infer R
      ? R
      : never
    : never

/**
 * Installs an extension. It is called with the database and the further arguments of `extension()`, and
 * `extension()` returns its result.
 */
export type InstallExtension = (db: Kysely<never>, ...args: never[]) => unknown

/** Those of this copy of the package, for the Kysely that it has. */
const own = new Map<string, InstallExtension>()
/** Those of all copies: the newest of each name. */
const extensions = inCore('extensions', () => new Map<string, InstallExtension>())

/**
 * Registers an extension for `db.extension(name)`. Registering the same function again has no effect.
 *
 * ```ts
 * registerExtension('audited', (db, options) => db.withPlugin(new AuditPlugin(options)))
 * ```
 *
 * @throws {@link InvalidArgumentError} if another extension has that name
 */
export function registerExtension(name: string, install: InstallExtension): void {
  if (typeof name !== 'string' || typeof install !== 'function') {
    throw new InvalidArgumentError(
      `registerExtension() was given ${inWords(name)} and ${kindOf(install)}; give a name and a function`,
    )
  }
  const known = own.get(name)
  if (known !== undefined && known !== install) {
    throw new InvalidArgumentError(
      `an extension ${JSON.stringify(name)} is registered already, with another function. Choose another name`,
    )
  }
  own.set(name, install)
  extensions.set(name, install)
}

/** Finds an extension and installs it. */
export function installExtension(db: Kysely<never>, args: readonly unknown[]): unknown {
  const [name, ...rest] = args
  const install = own.get(name as string) ?? extensions.get(name as string)
  if (install !== undefined) return install(db, ...(rest as never[]))
  throw new InvalidArgumentError(
    `extension() was given ${inWords(name)}, which is not the name of an extension. ` +
      `Give one of ${[...extensions.keys()].map(inWords).join(', ')}, or register yours with registerExtension()`,
  )
}

const shareConnectionExtension = <O extends DrizzleLike>(
  db: Kysely<never>,
  options?: SharedConnectionExtension<O>,
): SharedKysely<never, O> => shareWithKysely(db, options)

registerExtension('shared-connection', shareConnectionExtension)
