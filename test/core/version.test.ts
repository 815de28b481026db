import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { VERSION } from '../../packages/bridge/src/version.ts'

test('the version in the source is that of the package', () => {
  const manifest = new URL('../../packages/bridge/package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  expect(VERSION).toBe(version)
})
