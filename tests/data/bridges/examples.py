"""Small files as annotation tools write them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from kgclip.data.bridges.coco import write_coco
from kgclip.data.bridges.hake_states import PARTS, STATES_76, STATES_93
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.video.encode import write_video
from tests.pose.figures import figure

# As ELAN 6.4 writes it.
EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-05-02T10:21:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/me/gym.wav" MIME_TYPE="audio/x-wav" RELATIVE_MEDIA_URL="./gym.wav"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/me/gym.mp4" MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="./gym.mp4"/>
        <PROPERTY NAME="URN">urn:nl-mpi-tools-elan-eaf:3c694e92-cd6e-4ab3-b541-1078d2427462</PROPERTY>
        <PROPERTY NAME="lastUsedAnnotationId">4</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1200"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="3450"/>
        <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="3450"/>
        <TIME_SLOT TIME_SLOT_ID="ts4"/>
        <TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="5000"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="P1" TIER_ID="action">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
                <ANNOTATION_VALUE>push up</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts5">
                <ANNOTATION_VALUE>lunge &amp; turn</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="action" TIER_ID="note">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
                <ANNOTATION_VALUE>slow</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    {more}
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="note"
        TIME_ALIGNABLE="false"/>
    <CONSTRAINT DESCRIPTION="1-1 association with a parent annotation" STEREOTYPE="Symbolic_Association"/>
</ANNOTATION_DOCUMENT>
"""
# As Label Studio 1.13 exports it (JSON).
TASKS: list[dict[str, Any]] = [
    {
        "id": 12,
        "annotations": [
            {
                "id": 7,
                "completed_by": 1,
                "result": [
                    {
                        "value": {"ranges": [{"start": 1, "end": 50}], "timelinelabels": ["push up"]},
                        "id": "Zx81a",
                        "from_name": "videoLabels",
                        "to_name": "video",
                        "type": "timelinelabels",
                        "origin": "manual",
                    },
                    {
                        "value": {"ranges": [{"start": 76, "end": 100}], "timelinelabels": ["lunge"]},
                        "id": "bQ3",
                        "from_name": "videoLabels",
                        "to_name": "video",
                        "type": "timelinelabels",
                        "origin": "manual",
                    },
                    {
                        "value": {"choices": ["indoors"]},
                        "id": "c1",
                        "from_name": "place",
                        "to_name": "video",
                        "type": "choices",
                    },
                ],
                "was_cancelled": False,
                "ground_truth": False,
                "created_at": "2024-06-01T09:12:13.000000Z",
                "lead_time": 33.1,
            }
        ],
        "file_upload": "3f2a1b9c-gym.mp4",
        "drafts": [],
        "predictions": [],
        "data": {"title": "first", "video": "/data/upload/4/3f2a1b9c-gym.mp4"},
        "meta": {},
        "created_at": "2024-06-01T09:10:00.000000Z",
        "project": 4,
    },
    {"id": 13, "annotations": [], "data": {"video": "/data/upload/4/0a0a0a0a-empty.mp4"}},
]
# As BORIS 8 exports aggregated events.
AGGREGATED = """Observation id,Observation date,Description,Observation type,Source,Time offset (s),Coding duration,\
Media duration (s),FPS (frame/s),Subject,Observation duration by subject by observation,Behavior,Behavioral category,\
Behavior type,Start (s),Stop (s),Duration (s),Media file name,Image index start,Image index stop,Image file path start,\
Image file path stop,Comment start,Comment stop
gym,2024-05-02 10:21:00,,Media file,player #1:films/gym.mp4,0.0,60.0,60.0,25.0,No focal subject,60.0,push up,,STATE,\
1.200,3.450,2.250,films/gym.mp4,30,86,NA,NA,,
gym,2024-05-02 10:21:00,,Media file,player #1:films/gym.mp4,0.0,60.0,60.0,25.0,Anna,60.0,looks up,,POINT,2.000,2.000,0,\
films/gym.mp4,50,50,NA,NA,,
"""
# As BORIS 7 does.
OLDER = """Observation id\tObservation date\tDescription\tMedia file\tTotal length\tFPS\tSubject\tBehavior\t\
Behavioral category\tModifiers\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\tComment start\tComment stop
6008\t2021-12-06 13:26:24\t\tT:/Videos/6008.mp4\t1381.010\t29.97\tNo focal subject\tlunge\t\t\tSTATE\t689.000\t\
750.421\t61.421\t\t
"""
# As BORIS 8 exports events one by one.
TABULAR = """Observation id,Observation date,Description,Observation duration,Observation type,Source,Time offset (s),\
Subject,Observation duration by subject by observation,Behavior,Behavioral category,Behavior type,Time,Media file name,\
Image index,Image file path,Comment
gym,2024-05-02,,60.0,Media file,player #1:gym.mp4,0.0,Anna,60.0,push up,,START,1.2,gym.mp4,30,NA,
gym,2024-05-02,,60.0,Media file,player #1:gym.mp4,0.0,Ben,60.0,push up,,START,1.5,gym.mp4,38,NA,
gym,2024-05-02,,60.0,Media file,player #1:gym.mp4,0.0,Anna,60.0,looks up,,POINT,2.0,gym.mp4,50,NA,
gym,2024-05-02,,60.0,Media file,player #1:gym.mp4,0.0,Anna,60.0,push up,,STOP,3.45,gym.mp4,86,NA,
gym,2024-05-02,,60.0,Media file,player #1:gym.mp4,0.0,Ben,60.0,push up,,STOP,4,gym.mp4,100,NA,
"""
# As BORIS saves it, with less in it.
PROJECT: dict[str, Any] = {
    "time_format": "hh:mm:ss",
    "project_name": "gym",
    "project_format_version": "7.0",
    "subjects_conf": {"0": {"key": "1", "name": "Anna", "description": ""}},
    "behaviors_conf": {
        "0": {"type": "State event", "key": "p", "code": "push up", "modifiers": "", "excluded": "", "coding map": ""},
        "1": {"type": "Point event", "key": "l", "code": "looks up", "modifiers": "", "excluded": "", "coding map": ""},
    },
    "observations": {
        "gym": {
            "file": {"1": ["films/gym.mp4"], "2": [], "3": []},
            "type": "MEDIA",
            "date": "2024-05-02T10:21:00",
            "time offset": 0.0,
            "events": [
                [4.0, "Anna", "push up", "", "", 100],
                [1.2, "Anna", "push up", "", "", 30],
                [2.0, "Anna", "looks up", "", "", 50],
                [9.5, "Anna", "push up", "", "", 237],
                [7.5, "Anna", "push up", "", "", 187],
            ],
            "media_info": {"length": {"films/gym.mp4": 60.0}, "fps": {"films/gym.mp4": 25.0}},
        },
        "live": {"file": [], "type": "LIVE", "time offset": 0.0, "events": [[1.0, "", "push up", "", ""]]},
    },
}
# As CVAT 2 exports a task of 6 frames.
XML = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>31</id>
      <name>gym task</name>
      <size>6</size>
      <mode>interpolation</mode>
      <overlap>5</overlap>
      <bugtracker></bugtracker>
      <created>2024-05-02 10:21:00.123456+00:00</created>
      <subset>Train</subset>
      <start_frame>0</start_frame>
      <stop_frame>5</stop_frame>
      <frame_filter></frame_filter>
      <segments><segment><id>31</id><start>0</start><stop>5</stop><url>http://localhost/api/jobs/31</url></segment></segments>
      <owner><username>anna</username><email></email></owner>
      <labels>
        <label>
          <name>left_hand</name><color>#ff6037</color><type>rectangle</type>
          <attributes>
            <attribute><name>state</name><mutable>True</mutable><input_type>select</input_type>
              <default_value>none</default_value><values>none
hold
wave</values></attribute>
          </attributes>
        </label>
      </labels>
      <original_size><width>320</width><height>240</height></original_size>
      <source>gym.v2.mp4</source>
    </task>
    <dumped>2024-05-03 08:00:00.000000+00:00</dumped>
  </meta>
  <track id="0" label="left_hand" source="manual">
    <box frame="0" keyframe="1" outside="0" occluded="0" xtl="10.00" ytl="20.00" xbr="30.00" ybr="40.00" z_order="0">
      <attribute name="state">hold</attribute>
      <attribute name="object">little_ball</attribute>
      <attribute name="person">2</attribute>
    </box>
    <box frame="2" keyframe="1" outside="0" occluded="0" xtl="14.00" ytl="20.00" xbr="34.00" ybr="40.00" z_order="0">
      <attribute name="state">wave</attribute>
      <attribute name="object">none</attribute>
      <attribute name="person">2</attribute>
    </box>
    <box frame="4" keyframe="1" outside="1" occluded="0" xtl="14.00" ytl="20.00" xbr="34.00" ybr="40.00" z_order="0">
      <attribute name="state">wave</attribute>
    </box>
  </track>
  <track id="1" label="hip" source="manual">
    <box frame="4" keyframe="1" outside="0" occluded="0" xtl="0" ytl="0" xbr="9" ybr="9" z_order="0">
      <attribute name="verb">bend</attribute>
    </box>
  </track>
  <track id="2" label="car" source="manual">
    <box frame="0" keyframe="1" outside="0" occluded="0" xtl="0" ytl="0" xbr="9" ybr="9" z_order="0"/>
  </track>
</annotations>
"""


def _flags(kind: str, *states: str, count: int = 76) -> list[int]:
    names = list((STATES_76 if count == 76 else STATES_93)[kind])
    return [int(name in states) for name in names]


def hake_image(*active: str, count: int = 76, **states: tuple[str, ...]) -> dict[str, Any]:
    """One image of a file by image: parts that act, and states by kind of part."""
    lists = {f"{kind}_list": _flags(kind, *states.get(kind, ("no_interaction",)), count=count) for kind in STATES_76}
    return {"hoi_id": [490], "parts_list": [int(part in active) for part in PARTS], **lists}


def write_examples(folder: Path) -> None:
    """Write a file of each format, and the film that most of them are about: six seconds."""
    (folder / "films").mkdir()
    write_video(folder / "films/gym.mp4", np.zeros((150, 64, 64, 3), np.uint8), 25)
    (folder / "clips.csv").write_text("video,label\nfilms/gym.mp4,lunge\n")
    (folder / "gym.eaf").write_text(EAF.replace("{more}", ""))
    (folder / "gym.boris").write_text(json.dumps(PROJECT))
    (folder / "gym.csv").write_text(AGGREGATED)
    (folder / "project.json").write_text(json.dumps(TASKS))
    (folder / "annotations.xml").write_text(XML)
    image = hake_image("left hand", hand=("hold", "touch"))
    (folder / "hake.json").write_text(json.dumps({"HICO_1.jpg": image}))
    pose = ClipPose(np.arange(6, dtype=np.int32), np.arange(6) / 25, 64, 64, (Track(np.arange(6), figure(6)),))
    write_coco(folder / "keypoints.json", {"gym": pose})
    (folder / "spans.jsonl").write_text('{"start_s": 1.0, "end_s": 2.0, "action": "lunge"}\n')
