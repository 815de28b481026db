import { tracingChannel } from 'node:diagnostics_channel'
import { afterEach, expect, test, vi } from 'vitest'

const prototype = Object.getPrototypeOf(tracingChannel('test')) as object
const own = Object.getOwnPropertyDescriptor(prototype, 'hasSubscribers') as PropertyDescriptor
afterEach(() => {
  Object.defineProperty(prototype, 'hasSubscribers', own)
})

test('a channel is heard where the runtime cannot say so itself, as in Bun', async () => {
  Reflect.deleteProperty(prototype, 'hasSubscribers')
  vi.resetModules()
  const { queryChannel } = await import('../../packages/bridge/src/instrumentation/channels.ts')
  expect(queryChannel.hasSubscribers).toBe(false)
  const subscriber = { asyncEnd: () => undefined }
  queryChannel.subscribe(subscriber as never)
  expect(queryChannel.hasSubscribers).toBe(true)
  queryChannel.unsubscribe(subscriber as never)
  expect(queryChannel.hasSubscribers).toBe(false)
})
