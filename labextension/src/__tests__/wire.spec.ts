import {
  parseEnvironments,
  parseFailure,
  parseIdleEvent,
  type IEnvironment,
  WireError
} from '../wire';
import { parseConnection } from '../wireConnect';
import { parseSheet } from '../wireImages';
import { parseJobs } from '../wireJobs';
import { paragraph } from '../sentences';
import { parseKernelExitEvent, parseLastExit } from '../wireKernels';

const SENT = {
  name: 'bert',
  id: 'd2f1',
  status: 'running',
  image: 'nvcr.io/nvidia/pytorch:25.10-py3',
  gpus: 2,
  gpu_uuids: ['GPU-1', 'GPU-2'],
  kernel_name: 'dlenv-bert',
  engine: 'docker',
  mounts: ['/data:/data'],
  started: '2026-11-24T10:00:00Z',
  exit_code: null
};

describe('parseEnvironments', () => {
  it('keeps what the front end needs and leaves the rest', () => {
    const expected: IEnvironment = {
      name: 'bert',
      id: 'd2f1',
      status: 'running',
      image: 'nvcr.io/nvidia/pytorch:25.10-py3',
      gpus: 2,
      gpuUuids: ['GPU-1', 'GPU-2'],
      kernelName: 'dlenv-bert',
      engine: 'docker',
      mounts: ['/data:/data'],
      ports: [],
      started: '2026-11-24T10:00:00Z',
      exitCode: null,
      outOfMemory: false
    };

    expect(parseEnvironments({ environments: [SENT] })).toEqual([expected]);
  });

  it.each([
    ['no object', 'oops', 'the top'],
    ['no list', { environments: {} }, 'environments'],
    ['an item that is null', { environments: [null] }, 'environments[0]'],
    [
      'a number for a name',
      { environments: [SENT, { ...SENT, name: 7 }] },
      'environments[1].name'
    ],
    [
      'an unknown status',
      { environments: [{ ...SENT, status: 'asleep' }] },
      'environments[0].status'
    ]
  ])('refuses %s and says where', (_, answer, path) => {
    const parse = () => parseEnvironments(answer);

    expect(parse).toThrow(WireError);
    expect(parse).toThrow(path);
  });
});

describe('parseFailure', () => {
  it('reads what the server says', () => {
    const failure = {
      code: 'name-taken',
      message: 'Taken.',
      hint: 'Choose another.',
      detail: ''
    };

    expect(parseFailure({ error: failure })).toEqual(failure);
  });

  it.each([
    [null],
    ['<html>'],
    [{ message: 'Not Found' }],
    [{ error: { code: 404 } }]
  ])('does not take %j of a proxy for ours', answer => {
    expect(parseFailure(answer)).toBeNull();
  });
});

describe('parseConnection', () => {
  it('keeps links that open programs, and no scripts', () => {
    const ides = [
      { id: 'a', name: 'VS Code', url: 'vscode://vscode-remote/ssh-remote+x/' },
      { id: 'b', name: 'Evil', url: 'javascript:alert(1)' }
    ];
    const sheet = parseConnection({ ides, blocks: [{ place: 'moon' }] });

    expect(sheet.ides.map(ide => ide.url)).toEqual([ides[0]?.url, '']);
    expect(sheet.blocks.size).toBe(0);
  });
});

describe('parseSheet', () => {
  it('tells the name of the licence from its address', () => {
    const sheet = parseSheet({
      remarks: [],
      licence: 'NVIDIA licence: https://nvidia.example/terms'
    });

    expect(sheet.licence).toBe('NVIDIA licence');
    expect(sheet.licenceUrl).toBe('https://nvidia.example/terms');
    expect(sheet.download).toBeNull();
  });
});

describe('parseJobs', () => {
  it('understands the words of the engine for a layer', () => {
    const states = ['Extracting', 'Already exists', 'Verifying Checksum'];
    const layers = states.map(state => ({ id: state, state }));
    const [job] = parseJobs({
      jobs: [{ id: '1', name: 'a', phase: 'pulling', layers }]
    });

    expect(job?.layers.map(layer => layer.state)).toEqual([
      'unpacking',
      'here',
      'waiting'
    ]);
  });
});

describe('parseIdleEvent', () => {
  const sent = {
    schema_id: 'https://schema.jupyter-dlenv.org/environment/v1',
    action: 'idle',
    name: 'bert',
    stops_in: 300
  };

  it('tells which environment stops, and when', () => {
    expect(parseIdleEvent(sent)).toEqual({ name: 'bert', seconds: 300 });
  });

  it('hears nothing in what else happens to environments', () => {
    expect(parseIdleEvent({ ...sent, action: 'stopped' })).toBeNull();
  });
});

describe('parseKernelExitEvent', () => {
  const sent = {
    schema_id: 'https://schema.jupyter-dlenv.org/kernel-exit/v1',
    kernel_id: 'k',
    environment: 'bert',
    message: 'The kernel was killed: no memory was left.',
    hint: 'Use smaller batches.'
  };

  it('keeps what a user can do something with', () => {
    expect(parseKernelExitEvent(sent)).toEqual({
      kernelId: 'k',
      environment: 'bert',
      message: sent.message,
      hint: sent.hint
    });
  });

  it('leaves other events alone, and refuses what says nothing', () => {
    expect(parseKernelExitEvent({ ...sent, schema_id: 'other' })).toBeNull();
    expect(() => parseKernelExitEvent({ ...sent, message: 1 })).toThrow();
    const at = '2026-11-30T07:00:00+00:00';
    expect(parseLastExit({ ...sent, at, log: 'cut' })).toEqual({
      message: sent.message,
      hint: sent.hint,
      at,
      log: 'cut'
    });
  });
});

describe('a paragraph', () => {
  it('has spaces between its sentences, as their language wants it', () => {
    expect(paragraph('It failed.', '', 'Try again.')).toBe(
      'It failed. Try again.'
    );
    expect(paragraph('失败了。', '请重试。')).toBe('失败了。请重试。');
    expect(paragraph('失败了。', '', '')).toBe('失败了。');
  });
});
