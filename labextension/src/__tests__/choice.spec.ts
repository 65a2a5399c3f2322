import { nullTranslator } from '@jupyterlab/translation';

import {
  duration,
  gpuMemory,
  gpuModel,
  imageName,
  memory,
  summary
} from '../format';
import { groupImages } from '../images';
import {
  fromProject,
  NOTHING_CHOSEN,
  suggestName,
  toMagic,
  toRequest,
  toShell
} from '../launchRequest';
import type { IProject } from '../wireProject';
import { passages, spans } from '../words';

const trans = nullTranslator.load('jupyter_dlenv');

describe('a launch', () => {
  const choice = {
    ...NOTHING_CHOSEN,
    image: 'nvcr.io/nvidia/pytorch:25.10-py3',
    name: 'bert',
    gpus: 2
  };

  it('asks for no more than what differs from the defaults', () => {
    const untouched = { ...choice, ports: [{ container: '', host: '' }] };

    expect(toRequest(untouched)).toEqual({
      name: 'bert',
      image: choice.image,
      gpus: 2
    });
  });

  it('is the same as a line for a shell and for a notebook', () => {
    const rich = {
      ...choice,
      devices: ['GPU-1', 'GPU-2'],
      mounts: [{ source: '/my data', target: '/data', readOnly: true }],
      ports: [
        { container: '6006', host: '' },
        { container: '80', host: '8080' }
      ],
      variables: [{ name: 'NAME', value: "it's" }],
      sharedMemory: '16g',
      user: 'root',
      idleStop: '90'
    };
    const options =
      `${choice.image} --name bert --gpus device=GPU-1,GPU-2` +
      ` --mount '/my data:/data:ro' --publish 6006 --publish 8080:80` +
      ` --env 'NAME=it'\\''s' --shm-size 16g --user root --idle-stop 90`;

    expect(toShell(rich)).toBe(`jupyter dlenv launch ${options}`);
    expect(toMagic(rich)).toBe(`%dlenv launch ${options}`);
    expect(toMagic(choice, 'gpu 1')).toBe(
      `%dlenv launch ${choice.image} --engine 'gpu 1' --name bert --gpus 2`
    );
    expect(toRequest(rich)).toMatchObject({
      gpus: 'device=GPU-1,GPU-2',
      mounts: ['/my data:/data:ro'],
      ports: ['6006', '8080:80'],
      env: { NAME: "it's" },
      idle_stop: 90
    });
  });

  it('leaves what is no number of minutes for the server to refuse', () => {
    expect(toRequest({ ...choice, idleStop: 'soon' })).toMatchObject({
      idle_stop: 'soon'
    });
  });

  it.each([
    ['nvcr.io/nvidia/pytorch:25.10-py3', [], 'pytorch-25-10'],
    ['nvcr.io/nvidia/pytorch:25.10-py3', ['pytorch-25-10'], 'pytorch-25-10-2'],
    ['localhost:5000/Team/My_Image@sha256:0', [], 'my_image'],
    ['::', [], 'environment']
  ])(
    'of %s is named so that it is free and reminds of it',
    (image, taken, name) => {
      expect(suggestName(image, new Set(taken))).toBe(name);
    }
  );
});

const project: IProject = {
  path: '/projects/bert/dlenv.toml',
  name: 'bert',
  image: 'nvcr.io/nvidia/pytorch:25.10-py3',
  buildDir: '',
  isPinned: false,
  beyond: [],
  spec: {
    name: 'bert',
    image: 'nvcr.io/nvidia/pytorch:25.10-py3',
    gpus: 2,
    mounts: ['/projects/bert/data:/data:ro'],
    ports: ['127.0.0.1:0:6006', '0.0.0.0:80:8080'],
    env: { WANDB_MODE: 'offline' },
    shm_size: 16 * 1024 ** 3,
    idle_stop: 60,
    labels: { team: 'vision' }
  }
};

describe('the launch of a project', () => {
  const choice = { ...NOTHING_CHOSEN, ...fromProject(project) };

  it('asks for all that its file says', () => {
    expect(toRequest(choice)).toEqual({
      ...project.spec,
      project: '/projects/bert/dlenv.toml',
      ports: ['6006', '0.0.0.0:80:8080'],
      shm_size: '16g'
    });
  });

  it('is a line that names the file, and what differs from it', () => {
    const file = 'jupyter dlenv launch --file /projects/bert/dlenv.toml';

    expect(toShell(choice)).toBe(file);
    expect(toShell(choice, 'lab')).toBe(`${file} --engine lab`);
    expect(toShell({ ...choice, gpus: 4, name: 'b' })).toBe(
      `${file} --name b --gpus 4`
    );
    expect(toShell({ ...choice, gpus: 0 })).toBe(`${file} --gpus 0`);
  });

  it('is a line without the file, if something of it is left out', () => {
    expect(toShell({ ...choice, mounts: [] })).toMatch(
      /^jupyter dlenv launch nvcr\.io\/nvidia\/pytorch:25\.10-py3 --name bert /
    );
  });

  it('builds what it says is built', () => {
    const built = {
      ...choice,
      project: { ...project, buildDir: '/projects/bert' }
    };

    expect(toRequest(built)).toMatchObject({ build_dir: '/projects/bert' });
    expect(toShell({ ...built, mounts: [] })).toContain(
      '--build /projects/bert'
    );
  });

  it.each([
    ['device=0,2:1', ['0', '2:1'], 2],
    ['GPU-1b2c', ['GPU-1b2c'], 1],
    ['all', ['all'], 1],
    [3, [], 3]
  ])('wants the GPUs of %j', (gpus, devices, count) => {
    const some = fromProject({ ...project, spec: { ...project.spec, gpus } });

    expect(some).toMatchObject({ devices, gpus: count });
    expect(toRequest({ ...choice, ...some })['gpus']).toBe(
      gpus === 'GPU-1b2c' ? 'device=GPU-1b2c' : gpus
    );
  });
});

describe('images', () => {
  const offer = {
    name: 'pytorch',
    title: 'PyTorch',
    purpose: 'Training',
    repository: 'nvcr.io/nvidia/pytorch',
    notes: '',
    ready: []
  };
  const local = (...tags: string[]) => [
    { id: tags[0] ?? '', tags, size: 1, created: '' }
  ];
  const sources = {
    offers: [offer],
    local: local('nvcr.io/nvidia/pytorch:25.09-py3', 'lab/eval:1', 'dlenv/x:1'),
    remote: new Map([
      [
        offer.repository,
        [
          { tag: '25.10-py3', ready: false },
          { tag: '25.09-py3', ready: true }
        ]
      ]
    ]),
    recent: [],
    project: null,
    query: ''
  };

  it('are listed once, with those of the engine marked, and without our own', () => {
    const { recommended, here } = groupImages(sources);

    expect(recommended[0]?.tags.map(t => [t.tag, t.ready])).toEqual([
      ['25.10-py3', false],
      ['25.09-py3', true]
    ]);
    expect(here.map(choice => choice.title)).toEqual(['lab/eval:1']);
  });

  it('are there without a network', () => {
    const { recommended } = groupImages({ ...sources, remote: new Map() });

    expect(recommended[0]?.tags.map(t => t.tag)).toEqual(['25.09-py3']);
  });

  it('that were launched before and that of the project come first', () => {
    const image = 'nvcr.io/nvidia/pytorch:25.09-py3';
    const groups = groupImages({ ...sources, recent: [image], project });

    const known = groups.recommended.map(choice => choice.key);
    expect(groups.recent[0]).toMatchObject({ purpose: 'PyTorch 25.09' });
    expect(known).not.toContain(groups.recent[0]?.key);
    expect(groups.project).toMatchObject([
      { title: 'bert', purpose: 'PyTorch 25.10', tags: [{ ready: false }] }
    ]);
  });

  it.each([
    ['train', ['PyTorch'], [], 'train'],
    ['eval', [], ['lab/eval:1'], 'eval'],
    ['not an image', [], [], ''],
    ['lab/eval:1', [], ['lab/eval:1'], '']
  ])(
    'are found by %j, or taken as a reference',
    (query, offers, here, typed) => {
      const found = groupImages({ ...sources, query });

      expect(found.recommended.map(choice => choice.title)).toEqual(offers);
      expect(found.here.map(choice => choice.title)).toEqual(here);
      expect(found.typed).toBe(typed);
    }
  );
});

describe('words and numbers', () => {
  it.each([
    [26_800, '27 s'],
    [77_000, '1 min 17 s'],
    [3_600_000, '1 h'],
    [11_520_000, '3 h 12 min'],
    [180_000_000, '2 d 2 h']
  ])('%d ms are %s', (milliseconds, words) => {
    expect(duration(milliseconds, trans)).toBe(words);
  });

  it('counts the memory of the host as that of a GPU', () => {
    expect(memory(8 * 1024 ** 3)).toBe('8\u00a0GB');
    expect(memory(1.5 * 1024 ** 3)).toBe('1.5\u00a0GB');
    expect(gpuModel('NVIDIA H100 80GB HBM3')).toBe('H100 80\u00a0GB HBM3');
  });

  it('calls the memory of a GPU as it is sold', () => {
    const used = 73.2 * 1024 ** 3;

    expect(gpuMemory(used, 81559 * 1024 ** 2)).toBe('73 / 80\u00a0GB');
  });

  it('calls images as people do', () => {
    expect(summary('nvcr.io/nvidia/jax:25.10-py3', 1, trans)).toBe(
      'JAX 25.10 ·\u00a01\u00a0GPU'
    );
    expect(imageName('nvcr.io/nvidia/rapidsai/base:25.10-cuda13')).toEqual({
      mark: 'Ra',
      title: 'RAPIDS',
      version: '25.10'
    });
    expect(imageName('lab/eval:nightly').title).toBe('eval');
  });

  it('takes what stands between backticks for code, and what can be run for a command', () => {
    const hint = 'Run `sudo systemctl restart docker`, see `/dev/shm`.';

    expect(spans(hint).filter(s => s.isCode).length).toBe(2);
    expect(passages(hint)).toEqual([
      { text: 'Run', isCommand: false },
      { text: 'sudo systemctl restart docker', isCommand: true },
      { text: 'see `/dev/shm`.', isCommand: false }
    ]);
  });
});
