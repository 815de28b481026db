import { registerHooks } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { shareConnection } from 'shared-connection'

export type Share = typeof shareConnection

/** Returns the URL of the source of the bridge in another checkout, with a slash at its end. */
export function sourceOf(checkout: string): string {
  return pathToFileURL(`${resolve(checkout)}/packages/bridge/src/`).href
}

/** Loads the bridge of this checkout, or the one whose source is at a URL. */
export async function loadBridge(source?: string): Promise<Share> {
  if (source === undefined) {
    await import('shared-connection/register')
    return (await import('shared-connection')).shareConnection
  }
  lendLibraries(source)
  await import(new URL('register.ts', source).href)
  const bridge = (await import(new URL('index.ts', source).href)) as { shareConnection: Share }
  return bridge.shareConnection
}

/**
 * Makes the bridge of another checkout resolve the libraries of this one. So only the bridge differs, and
 * the other checkout needs no installation.
 */
function lendLibraries(source: string): void {
  const here = import.meta.resolve('shared-connection')
  registerHooks({
    resolve(specifier, context, next) {
      const isTheirs = context.parentURL?.startsWith(source) === true && !specifier.startsWith('.')
      return next(specifier, isTheirs ? { ...context, parentURL: here } : context)
    },
  })
}
