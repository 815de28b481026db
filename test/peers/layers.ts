// Puts a suite that makes Kysely or Drizzle databases over the bridge without an edit in its checkout:
// preloaded into its processes, it gives them a Kysely and a `drizzle` that share their connection.

import { registerHooks, type ResolveHookContext, type ResolveFnOutput } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** A module of a peer, and what stands in for some of its exports. */
interface Facade {
  readonly entry: RegExp
  readonly specifier: string
  readonly exports: readonly string[]
  readonly module: string
}

const FACADES: readonly Facade[] = [
  {
    // A package, or a checkout whose folder may say which version it is of.
    entry: /\/kysely[^/]*\/dist\/(?:(?:esm|cjs)\/)?index\.js$/,
    specifier: 'kysely',
    exports: ['Kysely', 'PostgresDialect'],
    module: new URL('bridged-kysely.ts', import.meta.url).href,
  },
  {
    entry: /\/drizzle-orm\/(?:dist\/)?node-postgres\/index\.(?:js|cjs)$/,
    specifier: 'drizzle-orm/node-postgres',
    exports: ['drizzle'],
    module: new URL('bridged-drizzle.ts', import.meta.url).href,
  },
]

const MARK = '?bridged'
const ROOT = new URL('../../', import.meta.url).href
const suite = pathToFileURL(join(process.cwd(), 'suite.js')).href
/** The copies that the suite uses. The bridge must use the same, or it would not know its objects. */
const usedBySuite = new Map<string, string>()

registerHooks({
  resolve(specifier, context, next) {
    if (context.parentURL?.startsWith(ROOT)) return resolveForBridge(specifier, context, next)
    const resolved = next(specifier, context)
    if (context.parentURL?.endsWith(MARK)) return resolved
    const facade = FACADES.find(({ entry }) => entry.test(resolved.url))
    if (facade === undefined) return resolved
    usedBySuite.set(facade.specifier, resolved.url)
    return { url: resolved.url + MARK, format: 'module', shortCircuit: true }
  },
  load(url, context, next) {
    if (!url.endsWith(MARK)) return next(url, context)
    const stock = JSON.stringify(url.slice(0, -MARK.length))
    const facade = FACADES.find(({ entry }) => entry.test(url.slice(0, -MARK.length)))
    if (facade === undefined) throw new Error(`nothing stands in for ${url}`)
    const source = `
      import * as stock from ${stock}
      import { bridge } from ${JSON.stringify(facade.module)}
      export * from ${stock}
      export const { ${facade.exports.join(', ')} } = bridge(stock)
    `
    return { format: 'module', source, shortCircuit: true }
  },
})

type Next = (specifier: string, context?: Partial<ResolveHookContext>) => ResolveFnOutput

/** The suite's copy of a library that the suite has, else the one that is installed here. */
function resolveForBridge(specifier: string, context: ResolveHookContext, next: Next) {
  const used = usedBySuite.get(specifier)
  if (used !== undefined) return next(used, context)
  const own = { ...context }
  if (!/^(?:kysely|drizzle-orm|pg|pg-cursor)(?:\/|$)/.test(specifier)) return next(specifier, own)
  try {
    return next(specifier, { ...own, parentURL: suite })
  } catch {
    // `next` keeps the context that it was given last, so the old one has to be given again.
    return next(specifier, own)
  }
}
