"""KG-CLIP: recognize human actions in video with CLIP and a knowledge graph of body movements."""
