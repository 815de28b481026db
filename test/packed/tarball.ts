// Looks into the published package: what npm shows of it is there, and each link leads somewhere.
// Run by `pnpm check:package`.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pack } from './application.ts'

const packed = await pack(join(import.meta.dirname, '.applications', 'tarball'))
const read = (name: string): Promise<string> => readFile(join(packed, name), 'utf8')

assert.match(await read('LICENSE'), /^MIT License/)
const { repository }: { repository: { url: string } } = JSON.parse(await read('package.json'))
assert.match(repository.url, /^git\+https:/)
const readme = await read('README.md')
assert.match(readme, /^# shared-connection/)
const links = [...readme.matchAll(/\]\(([^)]*)\)/g)].map(([, link = '']) => link)
assert.ok(links.length > 0)
const relative = links.filter((link) => !/^(https:|#)/.test(link))
assert.deepEqual(relative, [], 'links that lead nowhere on npm')
console.log('ok      README, LICENSE and metadata')
